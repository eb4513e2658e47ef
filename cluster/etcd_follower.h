// EtcdFollower: keeps up with all keys under a prefix, and tells its listeners of every change once, in order
// of revision. First everything is read, then watched from the next revision on. A watch that breaks, or is
// silent for kEtcdSilence (a dead connection is silent, too), is opened anew where it stopped, at another
// member if need be; where etcd has compacted that away, everything is read anew. Belongs to the client's
// shard.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "cluster/etcd_client.h"
#include "runtime/event.h"
#include "runtime/gate.h"

namespace ostraka::cluster {

// What all keys of a cluster begin with.
std::string etcd_keys_of(std::string_view cluster);

class EtcdFollower {
 public:
  // Called on the client's shard. Must not block. Keys are without the listener's prefix.
  class Listener {
   public:
    virtual ~Listener() = default;
    // All there is under the listener's prefix, ascending by key, before what is new of it is told. An error
    // ends the following for good: this is not the etcd that was followed.
    virtual Result<> accept(std::span<const EtcdKeyValue>) { return {}; }
    // In order of revision over all listeners. But what was found to be gone when all was read anew comes
    // first, with revision 0.
    virtual void changed(std::string_view key, EtcdEvent event) = 0;
    // All changes up to it were told.
    virtual void reached(std::uint64_t) {}
  };
  // prefix: not empty; ends with '/'. The client outlives it.
  EtcdFollower(EtcdClient& client, std::string prefix);
  EtcdFollower(const EtcdFollower&) = delete;
  EtcdFollower& operator=(const EtcdFollower&) = delete;

  // Before load(). below: of keys, after the follower's prefix; those of no listener are passed over. The
  // listener lives until close().
  void add(std::string_view below, Listener& listener);
  const std::string& prefix() const noexcept { return keys_.key; }

  // Reads everything. Errors: those of range(); what a listener says.
  Task<Result<>> load(TimePoint deadline);
  void start();  // after load(): follows from now on
  Task<> close();

  // All changes up to it were told; grows. Thread safe.
  std::uint64_t revision() const noexcept { return next_ - 1; }
  // How often all was read anew: what changed in between was not seen one by one.
  std::uint64_t loads() const noexcept { return loads_; }
  // Waits until `reached` holds, looking again after each change; false: the deadline came first, or close().
  // impatient: for what etcd has already; the watch is opened anew, at the member that is asked now, when it
  // takes longer than kEtcdEcho.
  enum class Patience : std::uint8_t { patient, impatient };
  Task<bool> wait(std::function<bool()> reached, TimePoint deadline, Patience patience);
  bool closing() const noexcept { return stopping_.is_set(); }
  // Why nothing is followed any more; empty: all is well.
  const std::string& estranged() const noexcept { return estranged_; }

 private:
  Task<> run();
  Task<Result<>> follow();  // until the watch breaks
  Task<Result<>> begin(EtcdHeader header, std::size_t member);
  Result<> estrange(const std::string& why);
  Result<> is_of_another(std::size_t member);
  Result<> take(EtcdWatchAnswer answer);
  Result<> accept(const std::vector<EtcdKeyValue>& all);
  void tell_all(std::vector<EtcdKeyValue> now);
  void tell(EtcdEvent event);
  void tell_reached();
  void note(const Result<>& followed);
  void wake();

  EtcdClient& client_;
  const EtcdKeys keys_;
  std::vector<std::pair<std::string, Listener*>> listeners_;  // by prefix
  const std::unique_ptr<net::HttpCaller> http_;               // of the watch alone
  std::uint64_t cluster_id_ = 0;
  std::atomic<std::uint64_t> next_ = 1;  // revision to watch from
  std::uint64_t told_ = 0;  // the newest; not before next_ in the middle of an answer in fragments
  std::map<std::string, std::uint64_t> known_;  // mod_revision of each key that was told of
  std::uint64_t loads_ = 0;
  std::set<std::size_t> foreign_;  // members of another etcd, since one of the right one was heard
  bool must_load_ = false;
  bool heard_ = false;    // since the watch was opened
  bool is_away_ = false;  // and the log says so
  std::string estranged_;
  Event stopping_;
  Gate gate_;
  std::vector<Event*> waiting_;
};

}  // namespace ostraka::cluster
