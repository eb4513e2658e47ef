// Pages of the rows of moving groups, as they lie in the index. Blocks.
#pragma once

#include <string>

#include "base/ids.h"
#include "disk/group_move.h"
#include "disk/group_places.h"
#include "disk/meta_index.h"

namespace ostraka::disk {

// Rows behind the row key `after`.
Result<MovePage> read_moving_rows(MetaIndex& index, const DeploymentId& deployment, const GroupBits& groups,
                                  const std::string& after);
// Rows that the records of changes name, behind `after`: a group (2 bytes, big-endian) and a row key.
Result<MovePage> read_changed_rows(MetaIndex& index, const GroupBits& groups, const std::string& after);

}  // namespace ostraka::disk
