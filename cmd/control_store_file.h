// `ostraka admin control-store`: the documents of a stopped deployment as one JSON text.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace ostraka::cmd {

// folders: DRIVE patterns, all of the deployment. Errors, for people: those of open_drives(); wrong_drive
// when a server runs on them; unavailable without a majority of the drives; and for import those of
// EmbeddedControlStore::import_json.
Result<> export_control_store(const std::vector<std::string>& folders);  // to standard output
Result<> import_control_store(const std::vector<std::string>& folders);  // from standard input

}  // namespace ostraka::cmd
