// EtcdSession: a lease in etcd, kept alive. By our own monotonic clock it ends a margin before etcd may end
// it: it counts from when the last keepalive that was answered was sent, and etcd counts from when it came.
// After a loss a new lease is taken. Belongs to the client's shard, except where it says otherwise.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <string_view>
#include <vector>

#include "cluster/etcd_client.h"
#include "runtime/event.h"
#include "runtime/gate.h"

namespace ostraka::cluster {

struct EtcdSessionSpec {
  std::chrono::seconds ttl{10};
  Duration margin = std::chrono::seconds(1);  // for clocks that do not run alike
};

class EtcdSession {
 public:
  // Gets the lease that begins; 0: it was lost.
  using Watcher = std::function<void(std::uint64_t lease)>;

  EtcdSession(EtcdClient& client, EtcdSessionSpec spec);
  EtcdSession(const EtcdSession&) = delete;
  EtcdSession& operator=(const EtcdSession&) = delete;

  // Called until close() has returned.
  void watch(Watcher watcher) { watchers_.push_back(std::move(watcher)); }
  void start();
  Task<> close();  // gives the lease back, and with it all keys under it
  // The same now, on the client's shard; a new one is taken.
  void drop(std::string_view why);

  // Thread safe:
  std::uint64_t lease() const noexcept { return lease_; }  // 0: none
  TimePoint until() const noexcept;                        // in the past: none
  std::chrono::seconds ttl() const noexcept { return spec_.ttl; }

 private:
  Task<> run();
  Task<> begin();
  Task<> keep();
  Task<> pause(Duration duration);
  void count_from(TimePoint sent, std::uint64_t ttl_seconds);
  void lose(std::string_view why);
  void tell();

  EtcdClient& client_;
  const EtcdSessionSpec spec_;
  std::atomic<std::uint64_t> lease_ = 0;
  std::uint64_t former_ = 0;  // lost, and perhaps not ended in etcd
  TimePoint next_{};          // keepalive
  std::atomic<TimePoint::rep> until_;
  std::vector<Watcher> watchers_;
  Event stopping_;
  bool complained_ = false;
  Gate gate_;
};

}  // namespace ostraka::cluster
