// The shard files that peers are writing on this node's drives. A writer belongs to the peer that opened it,
// under the id that the peer chose; it goes, and its file with it, when the peer gives it up or has not been
// heard of for kPeerLease. One call at a time; a call that comes twice, or out of order, ends it.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>

#include "base/hash.h"
#include "cluster/transport.h"
#include "disk/drive.h"
#include "runtime/clock.h"

namespace ostraka::cluster {

// Its fields belong to the call that has it, but for those that say otherwise.
struct OpenWriter {
  disk::Drive* drive = nullptr;  // never changes, nor does data
  DataId data{};
  std::unique_ptr<disk::ShardWriter> writer;  // null until it is staged
  bool kept_digest = false;                   // the drive keeps the blocks' digests itself
  Hash128 digest;                             // otherwise: of the blocks so far
  bool appending = false;                     // belongs to the shard of that call
  // of the table
  std::uint64_t blocks = 0;  // appended so far
  Shard* busy = nullptr;     // where a call has it
  bool given_up = false;     // nobody needs the file any more
  TimePoint expires;
};
using OpenWriterPtr = std::shared_ptr<OpenWriter>;

// Thread safe.
class WriterTable {
 public:
  explicit WriterTable(Clock& clock) : clock_(clock) {}

  // A new writer, in the hands of the caller. Errors: overloaded, invalid_argument (an id that is in use).
  Result<OpenWriterPtr> open(const NodeName& peer, std::uint64_t id, disk::Drive& drive, DataId data,
                             Shard& shard);
  // For a call that comes after so many blocks. Errors: closed (no such writer on this drive: given up,
  // expired, or never opened; or another call is under way, or this one is out of order, which ends it).
  Result<OpenWriterPtr> take(const NodeName& peer, std::uint64_t id, const disk::Drive& drive,
                             std::uint64_t blocks, Shard& shard);
  // Gives it back after that many more blocks. False: it has been given up meanwhile, and is no more.
  bool give_back(const NodeName& peer, std::uint64_t id, const OpenWriterPtr& writer, std::uint64_t blocks);
  // It has come to its end in the caller's hands. False: it had been given up before.
  bool close(const NodeName& peer, std::uint64_t id, const OpenWriterPtr& writer);
  // The writer's file goes with its last user: the caller, or the call that has it on the shard `busy`.
  // nullptr: no such writer on this drive.
  OpenWriterPtr give_up(const NodeName& peer, std::uint64_t id, const disk::Drive& drive, Shard*& busy);
  void renew(const NodeName& peer, std::uint64_t id);
  void sweep();  // gives up those whose peer has not been heard of
  void clear();
  std::size_t size() const;

 private:
  using Entries = std::unordered_map<std::uint64_t, OpenWriterPtr>;
  // With mutex_ held.
  OpenWriter* look_up(const NodeName& peer, std::uint64_t id);
  void erase(const NodeName& peer, std::uint64_t id);

  Clock& clock_;
  mutable std::mutex mutex_;
  std::unordered_map<NodeName, Entries> peers_;
  std::size_t size_ = 0;
};

}  // namespace ostraka::cluster
