// From the folders of the configuration to drives: inspected and opened in parallel, formatted only when
// nothing was ever stored in any of them.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/metrics.h"
#include "cmd/build_node.h"
#include "disk/meta_index.h"
#include "erasure/codec.h"
#include "runtime/clock.h"
#include "runtime/fs.h"
#include "runtime/random.h"
#include "runtime/workers.h"

namespace ostraka::cmd {

struct DriveOpening {
  Clock& clock;
  Random& random;
  Fs& fs;
  disk::MetaIndexFactory& indexes;
  WorkersFactory& workers;
  MetricRegistry& metrics;
  std::vector<std::string> folders;
  std::optional<erasure::Geometry> wanted;
  bool may_format = true;  // false: empty folders are an error
};

// Blocks. A drive that is left out comes with the others, offline; why is logged, and it returns by itself
// once the cause is gone. Errors, for people: those of plan_drives(), invalid_argument (too few folders for
// the geometry), and of formatting.
Result<NodeDrives> open_drives(DriveOpening opening);

}  // namespace ostraka::cmd
