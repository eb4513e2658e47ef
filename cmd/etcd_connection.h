// From the settings control.* to what EtcdClient needs.
#pragma once

#include "cluster/etcd_client.h"
#include "cmd/config.h"
#include "runtime/fs.h"

namespace ostraka::cmd {

// Of a store in etcd. Errors, for people: those of Fs, malformed.
Result<cluster::EtcdConfig> etcd_config(Fs& fs, const ControlStoreConfig& config);

}  // namespace ostraka::cmd
