// SimEtcd: one etcd of several members, as its JSON gateway shows it (cluster/etcd_wire.h): a linear order of
// transactions, leases that end by its own clock, watches that a member tells of late, a history that gets
// compacted.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "net/service.h"
#include "runtime/event.h"
#include "runtime/shard.h"
#include "tests/sim/probes.h"
#include "tests/sim/sim_clock.h"
#include "tests/sim/sim_random.h"

namespace ostraka::sim {

class SimEtcd {
 public:
  SimEtcd(SimClock& clock, SimRandom& random, Probes& probes, unsigned members);
  ~SimEtcd();
  std::size_t members() const noexcept { return members_.size(); }
  net::Service& member(std::size_t i);

  // Without a leader nothing is carried out, and no lease ends. Afterwards all leases begin anew.
  void set_leader(bool there);
  void set_lag(std::size_t member, Duration lag);  // of its watches
  // Chance of a change that nobody is told whether it was carried out; half of them are.
  void set_doubts(double chance) { doubts_ = chance; }
  void compact();  // forgets the history before now
  void stop() {    // its watches end
    stopped_ = true;
    wake();
  }

 private:
  using Json = nlohmann::json;
  class Member;
  struct Entry {
    std::string value;
    std::uint64_t created = 0, modified = 0, lease = 0;
  };
  struct Change {
    bool erased = false;
    std::string key;
    Entry now;
    std::uint64_t revision = 0;
    TimePoint when{};
  };
  struct Lease {
    Duration ttl{};
    TimePoint end{};
  };
  struct Refusal {
    int code;
    std::string message;
  };
  struct Said {
    std::optional<Refusal> refusal;
    Json json;
  };

  Said range(const Json& in) const;
  Said transaction(const Json& in);
  Said grant(const Json& in);
  Said keep_alive(const Json& in);
  Said revoke(const Json& in);
  Said carry_out(const std::string& path, const Json& in);
  Json header(std::uint64_t revision) const;
  static Json key_value(const std::string& key, const Entry& entry);
  void put(const std::string& key, std::string value, std::uint64_t lease);
  void erase(const std::string& key);
  void end_lease(std::uint64_t id);
  void look_at_leases();
  void wake();
  std::uint64_t revision_seen_by(std::size_t member) const;  // by its watches

  SimClock& clock_;
  SimRandom& random_;
  Probes& probes_;
  std::vector<std::unique_ptr<Member>> members_;
  std::map<std::string, Entry> entries_;
  std::deque<Change> history_;
  std::vector<Event*> watching_;  // in order: chance is the seed's alone
  std::map<std::uint64_t, Lease> leases_;
  std::uint64_t revision_ = 1, compacted_ = 0, lease_ids_ = 1000;
  bool leader_ = true, stopped_ = false;
  double doubts_ = 0;
};

}  // namespace ostraka::sim
