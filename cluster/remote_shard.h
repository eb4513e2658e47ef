// Readers and writers of shard files on a drive of another node.
#pragma once

#include <memory>

#include "cluster/drive_link.h"
#include "disk/drive.h"

namespace ostraka::cluster {

// writer: the id under which the file was staged there. finish() compares what was written with what it was
// given: closed when they differ.
std::unique_ptr<disk::ShardWriter> make_remote_writer(std::shared_ptr<DriveLink> link, DataId data,
                                                      std::uint64_t writer);

// reader: what the other node keeps the open file under; 0: nothing. Verifies every block that arrives.
std::unique_ptr<disk::ShardReader> make_remote_reader(std::shared_ptr<DriveLink> link, disk::ShardRef ref,
                                                      std::uint64_t reader);

}  // namespace ostraka::cluster
