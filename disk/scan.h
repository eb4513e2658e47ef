// A page of the ordered scan of one drive's rows. Blocks.
#pragma once

#include "base/result.h"
#include "disk/drive.h"
#include "disk/meta_index.h"

namespace ostraka::disk {

struct ScannedPage {
  ListPage page;
  std::uint64_t corrupt_rows = 0;  // left out: whoever merges the scans finds the drives disagree about them
};
Result<ScannedPage> scan_rows(MetaIndex& index, const ListSpec& spec);

}  // namespace ostraka::disk
