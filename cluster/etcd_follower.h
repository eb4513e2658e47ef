// EtcdFollower: keeps up with all keys under a prefix, and tells a listener of every change once, in order of
// revision. First everything is read, then watched from the next revision on. A watch that breaks, or is
// silent for kEtcdSilence (a dead connection is silent, too), is opened anew where it stopped, at another
// member if need be; where etcd has compacted that away, everything is read anew. Belongs to the client's
// shard.
#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <vector>

#include "cluster/etcd_client.h"
#include "runtime/event.h"

namespace ostraka::cluster {

class EtcdFollower {
 public:
  // Called on the client's shard. Must not block.
  class Listener {
   public:
    virtual ~Listener() = default;
    // All there is, ascending by key: what is not among it is gone. An error ends the following for good:
    // this is not the etcd that was followed.
    virtual Result<> all(std::vector<EtcdKeyValue> now) = 0;
    // Ascending by revision. Of the newest revision told, some may be told again.
    virtual void changed(std::vector<EtcdEvent> events) = 0;
  };
  // prefix: not empty. what: for the log. client and listener outlive it.
  EtcdFollower(EtcdClient& client, std::string prefix, std::string what, Listener& listener);
  EtcdFollower(const EtcdFollower&) = delete;
  EtcdFollower& operator=(const EtcdFollower&) = delete;

  // Reads everything. Errors: those of range(); what the listener says.
  Task<Result<>> load(TimePoint deadline);
  // After load(): follows until stop().
  Task<> run();
  void stop();

  // All changes up to it were told; grows. Thread safe.
  std::uint64_t revision() const noexcept { return next_ - 1; }
  // How often all was read anew: what changed in between was not seen one by one.
  std::uint64_t loads() const noexcept { return loads_; }
  // Waits until `reached` holds, looking again after each change; false: the deadline came first, or stop().
  // Opens the watch anew, at the member that is asked now, when it takes longer than kEtcdEcho.
  Task<bool> wait(std::function<bool()> reached, TimePoint deadline);
  // Why nothing is followed any more; empty: all is well.
  const std::string& estranged() const noexcept { return estranged_; }

 private:
  Task<Result<>> follow();  // until the watch breaks
  Task<Result<>> begin(EtcdHeader header);
  Result<> take(EtcdWatchAnswer answer);
  void note(const Result<>& followed);
  void wake();

  EtcdClient& client_;
  const EtcdKeys keys_;
  const std::string what_;
  Listener& listener_;
  net::HttpClient http_;  // of the watch alone
  std::uint64_t cluster_id_ = 0;
  std::atomic<std::uint64_t> next_ = 1;  // revision to watch from
  std::uint64_t told_ = 0;  // the newest; not before next_ in the middle of an answer in fragments
  std::uint64_t loads_ = 0;
  bool must_load_ = false;
  bool heard_ = false;    // since the watch was opened
  bool is_away_ = false;  // and the log says so
  std::string estranged_;
  Event stopping_;
  std::vector<Event*> waiting_;
};

}  // namespace ostraka::cluster
