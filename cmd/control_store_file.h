// `ostraka admin control-store`: the documents of a stopped deployment as one JSON text, and their move into
// etcd.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "cmd/config.h"

namespace ostraka::cmd {

// folders: DRIVE patterns, all of the deployment. Errors, for people: those of open_drives(); wrong_drive
// when a server runs on them; unavailable without a majority of the drives; and for import those of
// EmbeddedControlStore::import_json. invalid_argument when the documents are kept in etcd.
Result<> export_control_store(const std::vector<std::string>& folders);  // to standard output
Result<> import_control_store(const std::vector<std::string>& folders);  // from standard input

// Copies the documents of the drives into etcd, reads them back, and marks the drives; from then on the
// deployment is served with that etcd alone. Says so on standard output. Nothing is removed from the drives.
// What an earlier try has copied stays. Errors also: conflict (there are other documents in etcd), those of
// EtcdControlStore.
Result<> migrate_control_store(const std::vector<std::string>& folders, const ControlStoreConfig& config);

}  // namespace ostraka::cmd
