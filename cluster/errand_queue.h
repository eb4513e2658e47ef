// What a node has to tell one drive of another node without waiting for an answer: retires, pins and readers
// that are let go of, writers that are given up, and which of them somebody still needs. It rides along with
// the next call to that drive, or goes by itself a moment later (drive_link.h). What is lost on the way is
// harmless: a version that is not retired is retired by the next reader that finds it, or by the scanner;
// what is not let go of ends with its lease.
#pragma once

#include <cstdint>
#include <mutex>
#include <unordered_map>

#include "cluster/peer.pb.h"
#include "disk/drive.h"
#include "runtime/clock.h"

namespace ostraka::cluster {

// Thread safe.
class ErrandQueue {
 public:
  explicit ErrandQueue(Clock& clock) : clock_(clock) {}

  void retire(const disk::ObjectRef& ref, VersionId id);
  // From now on it is renewed, until it is let go of.
  void hold_pin(std::uint64_t pin);
  void release_pin(std::uint64_t pin);
  void hold_writer(std::uint64_t writer);
  void forget_writer(std::uint64_t writer);  // it has come to its end
  void end_writer(std::uint64_t writer, DataId data);
  void close_reader(std::uint64_t reader);

  // All that waits.
  void take(pb::Errands& out);
  // What has to be renewed by now.
  void take_renewals(pb::Errands& out);
  // Nothing of it was sent. What has grown too old is dropped, and what there is no room for.
  void put_back(pb::Errands errands);
  std::uint64_t dropped() const;  // retires that will not be sent

 private:
  using Held = std::unordered_map<std::uint64_t, TimePoint>;  // by id: when it was last told of
  bool room_for(const pb::Errands::Retire& retire) const;     // with mutex_ held
  void add(pb::Errands::Retire retire);
  std::int64_t now_ms() const { return clock_.unix_ms(); }

  Clock& clock_;
  mutable std::mutex mutex_;
  pb::Errands waiting_;
  std::size_t retire_bytes_ = 0;
  Held pins_, writers_;
  std::uint64_t dropped_ = 0;
};

bool is_empty(const pb::Errands& errands);

}  // namespace ostraka::cluster
