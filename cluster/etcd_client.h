// EtcdClient: calls to etcd through its JSON gateway, over HTTP/1.1 with kept connections. Of several members
// one is asked as long as it answers, then the next. Every call asks for a member that sees a leader, so that
// one cut off from the others is passed over. Belongs to one shard.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "cluster/etcd_wire.h"
#include "cluster/limits.h"
#include "net/address.h"
#include "net/http_client.h"
#include "runtime/clock.h"
#include "runtime/shard.h"
#include "runtime/task.h"

namespace ostraka::cluster {

struct EtcdConfig {
  std::vector<net::HostPort> endpoints;        // of the members, at least one
  std::shared_ptr<net::TlsClientContext> tls;  // null: plain HTTP
  std::string user, password;                  // empty: etcd asks nobody who they are
  Duration silence = kEtcdSilence;             // after which a watch is opened anew
  net::HttpDial dial = {};                     // empty: over the network
};
// "http://e1:2379, http://e2:2379", for people.
std::string to_string(const EtcdConfig& config);

class EtcdWatch;

class EtcdClient {
 public:
  EtcdClient(Shard& shard, EtcdConfig config);
  EtcdClient(const EtcdClient&) = delete;
  EtcdClient& operator=(const EtcdClient&) = delete;

  // Errors of all: unavailable (no member could carry it out), access_denied, malformed; of those
  // that change something: in_doubt (it may have been carried out, or still be), too_large.
  // Also conflict: the revision asked for has been compacted.
  Task<Result<EtcdRange>> range(EtcdRangeSpec spec, TimePoint deadline);
  Task<Result<EtcdTxn>> txn(EtcdTxnSpec spec, TimePoint deadline);
  Task<Result<EtcdLease>> grant(std::chrono::seconds ttl, TimePoint deadline);
  Task<Result<EtcdLease>> keep_alive(std::uint64_t lease, TimePoint deadline);  // not_found: it has ended
  Task<Result<>> revoke(std::uint64_t lease, TimePoint deadline);
  Task<Result<EtcdStatus>> status(TimePoint deadline);  // of the member that is asked
  // From start_revision on. `over`: a client of its own, whose stall_timeout is how long the watch may be
  // silent, and whose abort() ends it; it outlives the watch.
  Task<Result<std::unique_ptr<EtcdWatch>>> watch(net::HttpCaller& over, EtcdKeys keys,
                                                 std::uint64_t start_revision, TimePoint deadline);

  const EtcdConfig& config() const noexcept { return config_; }
  Shard& shard() noexcept { return shard_; }
  // The member that was asked did not do what it should: others are asked from now on.
  void pass_over(std::size_t member) noexcept;
  void abort() { http_->abort(); }  // ends the calls under way

 private:
  enum class Kind : std::uint8_t { reads, changes };
  // What one member said.
  struct Said {
    std::string body;  // of 200
    Error error;
    enum class Then : std::uint8_t {
      good,
      refused,     // by etcd as such: no other member would do it
      log_in,      // the token does not count any more
      leaderless,  // certainly not carried out; after an election it may be
      elsewhere,   // certainly not carried out here
      lost,        // it may have been carried out
    } then = Then::good;
  };
  // by: the member that answered.
  Task<Result<std::string>> call(std::string path, std::string body, Kind kind, TimePoint deadline,
                                 std::size_t* by = nullptr);
  Task<Said> ask(std::size_t member, std::string path, std::string body, TimePoint deadline);
  Task<Result<>> log_in(std::size_t member, TimePoint deadline);
  net::ClientRequest request_for(std::size_t member, std::string path, std::string body, TimePoint deadline);
  static Said read_failure(std::string_view body, bool has_user);

  Shard& shard_;
  const EtcdConfig config_;
  const std::unique_ptr<net::HttpCaller> http_;
  std::size_t member_ = 0;  // that is asked
  std::string token_;
};

// The stream of one watch, on its client's shard.
class EtcdWatch {
 public:
  EtcdWatch(net::ClientResponse response, std::size_t member);
  // Errors: deadline (silence), closed, incomplete_body (the stream ended), unavailable (etcd ended it),
  // malformed, too_large. After an error there is nothing more.
  Task<Result<EtcdWatchAnswer>> next();
  std::size_t member() const noexcept { return member_; }

 private:
  const net::ClientResponse response_;
  const std::size_t member_;
  std::string unread_;
  std::size_t searched_ = 0;  // of unread_, without an end of line
  Buffer piece_;
};

}  // namespace ostraka::cluster
