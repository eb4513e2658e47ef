// Pages of the ordered scan of one drive's rows: of one key space of a bucket, and of all. Blocks.
#pragma once

#include "base/result.h"
#include "disk/drive.h"
#include "disk/meta_index.h"

namespace ostraka::disk {

struct ScannedPage {
  ListPage page;
  std::uint64_t corrupt_rows = 0;  // in the page as they are, unless their keys are none
};
Result<ScannedPage> scan_rows(MetaIndex& index, const ListSpec& spec);

Result<RowPage> scan_all_rows(MetaIndex& index, const RowScanSpec& spec);

}  // namespace ostraka::disk
