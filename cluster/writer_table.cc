#include "cluster/writer_table.h"

#include <utility>
#include <vector>

#include "base/check.h"
#include "cluster/limits.h"

namespace ostraka::cluster {

OpenWriter* WriterTable::look_up(const NodeName& peer, std::uint64_t id) {
  const auto entries = peers_.find(peer);
  if (entries == peers_.end()) return nullptr;
  const auto entry = entries->second.find(id);
  return entry == entries->second.end() ? nullptr : entry->second.get();
}

void WriterTable::erase(const NodeName& peer, std::uint64_t id) {
  const auto entries = peers_.find(peer);
  CHECK(entries != peers_.end());
  entries->second.erase(id);
  if (entries->second.empty()) peers_.erase(entries);
  --size_;
}

Result<OpenWriterPtr> WriterTable::open(const NodeName& peer, std::uint64_t id, disk::Drive& drive,
                                        DataId data, Shard& shard) {
  auto writer = std::make_shared<OpenWriter>();
  writer->drive = &drive;
  writer->data = data;
  writer->busy = &shard;
  const std::lock_guard lock(mutex_);
  if (id == 0 || look_up(peer, id) != nullptr)
    return fail(Errc::invalid_argument, "the id of a writer that there is");
  const auto entries = peers_.find(peer);
  const std::size_t own = entries == peers_.end() ? 0 : entries->second.size();
  if (size_ >= kMaxWriters || own >= kMaxPeerWriters)
    return fail(Errc::overloaded, "too many shard files are being written for other nodes");
  peers_[peer].emplace(id, writer);
  ++size_;
  return writer;
}

Result<OpenWriterPtr> WriterTable::take(const NodeName& peer, std::uint64_t id, const disk::Drive& drive,
                                        std::uint64_t blocks, Shard& shard) {
  OpenWriterPtr out;
  const std::lock_guard lock(mutex_);
  OpenWriter* const found = look_up(peer, id);
  if (found == nullptr || found->drive != &drive) return fail(Errc::closed, "no such writer");
  out = peers_.find(peer)->second.find(id)->second;
  if (found->busy == nullptr && found->blocks == blocks) {
    found->busy = &shard;
    return out;
  }
  found->given_up = true;
  erase(peer, id);
  return fail(Errc::closed, "calls to a writer came twice or out of order");
}

bool WriterTable::give_back(const NodeName& peer, std::uint64_t id, const OpenWriterPtr& writer,
                            std::uint64_t blocks) {
  const std::lock_guard lock(mutex_);
  writer->busy = nullptr;
  writer->blocks += blocks;
  writer->expires = deadline_after(clock_.now(), kPeerLease);
  return look_up(peer, id) == writer.get();
}

bool WriterTable::close(const NodeName& peer, std::uint64_t id, const OpenWriterPtr& writer) {
  const std::lock_guard lock(mutex_);
  writer->busy = nullptr;
  if (look_up(peer, id) == writer.get()) erase(peer, id);
  return !writer->given_up;
}

OpenWriterPtr WriterTable::give_up(const NodeName& peer, std::uint64_t id, const disk::Drive& drive,
                                   Shard*& busy) {
  const std::lock_guard lock(mutex_);
  OpenWriter* const found = look_up(peer, id);
  if (found == nullptr || found->drive != &drive) return nullptr;
  OpenWriterPtr out = peers_.find(peer)->second.find(id)->second;
  busy = found->busy;
  found->given_up = true;
  erase(peer, id);
  return out;
}

void WriterTable::renew(const NodeName& peer, std::uint64_t id) {
  const std::lock_guard lock(mutex_);
  if (OpenWriter* const found = look_up(peer, id)) found->expires = deadline_after(clock_.now(), kPeerLease);
}

void WriterTable::sweep() {
  std::vector<OpenWriterPtr> gone;  // destroyed outside of the lock
  const TimePoint now = clock_.now();
  const std::lock_guard lock(mutex_);
  for (auto peer = peers_.begin(); peer != peers_.end();) {
    Entries& entries = peer->second;
    for (auto entry = entries.begin(); entry != entries.end();) {
      OpenWriter& writer = *entry->second;
      if (writer.busy != nullptr || writer.expires > now) {
        ++entry;
        continue;
      }
      writer.given_up = true;
      gone.push_back(std::move(entry->second));
      entry = entries.erase(entry);
      --size_;
    }
    peer = entries.empty() ? peers_.erase(peer) : std::next(peer);
  }
}

void WriterTable::clear() {
  std::unordered_map<NodeName, Entries> gone;
  const std::lock_guard lock(mutex_);
  for (auto& [peer, entries] : peers_)
    for (auto& [id, writer] : entries) writer->given_up = true;
  gone.swap(peers_);
  size_ = 0;
}

std::size_t WriterTable::size() const {
  const std::lock_guard lock(mutex_);
  return size_;
}

}  // namespace ostraka::cluster
