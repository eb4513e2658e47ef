// PowerDisk: a SimDisk for the real RocksDB, whose own threads use it: files as RocksDB's FileSystem and as
// our Fs. The power goes at the call that a test says: what was not synced is lost at random, and whoever was
// at work then changes nothing any more.
#pragma once

#include <rocksdb/env.h>

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "runtime/fs.h"
#include "tests/sim/sim_disk.h"
#include "tests/sim/sim_random.h"

namespace ostraka::sim {

inline constexpr char kIndexFolder[] = "/index";

// Thread safe.
class PowerDisk {
 public:
  explicit PowerDisk(std::uint64_t seed) : random_(seed), disk_(1) {}
  PowerDisk(const PowerDisk&) = delete;
  PowerDisk& operator=(const PowerDisk&) = delete;

  void cut_power_at(std::uint64_t calls);  // that change something, counted from now
  // The process that uses it ends: at a power cut, or with its page cache as it is.
  void cut_power();
  void kill();
  void sync_root();    // the names in it, that is the folder of the index
  bool ended() const;  // one of the three has happened
  void begin();        // the next process
  std::uint64_t lost_bytes() const;
  std::uint64_t lost_names() const;

  // RocksDB's surroundings, and our files, of the present process. `disk` outlives both.
  static std::unique_ptr<rocksdb::Env> env(PowerDisk& disk);
  static std::unique_ptr<Fs> fs(PowerDisk& disk);

 private:
  friend class PowerCalls;
  enum class Change : bool { no, yes };
  bool may(std::uint64_t life, Change change);  // with the mutex held
  void lose();
  void cut_tails();
  std::shared_ptr<Node> find(const std::string& path) const;
  std::shared_ptr<Node> folder_of(const std::string& path, std::string& name) const;

  mutable std::mutex mutex_;
  SimRandom random_;
  SimDisk disk_;
  std::uint64_t life_ = 1;  // processes so far
  bool ended_ = false;
  std::optional<std::uint64_t> calls_left_;
  std::uint64_t lost_bytes_ = 0, lost_names_ = 0;
};

}  // namespace ostraka::sim
