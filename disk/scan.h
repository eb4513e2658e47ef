// Pages of the ordered scan of one drive's rows: of one key space of a bucket, and of all. Blocks.
#pragma once

#include "base/result.h"
#include "disk/drive.h"
#include "disk/meta_index.h"

namespace ostraka::disk {

struct ScannedPage {
  ListPage page;
  std::uint64_t nameless_rows = 0;  // left out, since what should be their keys is none
};
// What spec.groups says does not count here: rows of keys of `groups`, or of all when it is null.
struct GroupFilter {
  const DeploymentId& deployment;
  GroupBits groups;
};
Result<ScannedPage> scan_rows(MetaIndex& index, const ListSpec& spec, const GroupFilter* filter);

Result<RowPage> scan_all_rows(MetaIndex& index, const RowScanSpec& spec);

}  // namespace ostraka::disk
