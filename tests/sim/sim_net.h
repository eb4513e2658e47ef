// SimNet: the network between the hosts of a world: connections, and on them HTTP requests and answers as
// bytes that take their time. It stands in for net::HttpClient and net::HttpServer; what is above them, both
// sides of calls between nodes and of etcd, is production code.
//
// As with TCP what is sent arrives in order on its connection, or the connection breaks; what is under way
// when a link is cut comes as soon as it is restored, however late, unless an end has given the connection up
// before. A request whose connection broke may have been carried out or not.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "net/http_client.h"
#include "net/service.h"
#include "runtime/event.h"
#include "runtime/gate.h"
#include "runtime/shard.h"
#include "tests/sim/probes.h"
#include "tests/sim/sim_clock.h"
#include "tests/sim/sim_random.h"

namespace ostraka::sim {

// A process that answers at a host. All of it outlives leave() and the gate's close().
struct SimListener {
  net::Service* service = nullptr;
  Shard* shard = nullptr;
  SimTimeline* line = nullptr;
  Gate* gate = nullptr;    // of requests that are being served
  std::uint64_t life = 0;  // of the process
};

// What one direction between two hosts suffers.
struct SimLink {
  bool cut = false;
  Duration slow{};      // each message takes up to that much longer
  double breaking = 0;  // chance of each message that its connection breaks, before or after it
};

class SimNet {
 public:
  SimNet(SimClock& clock, SimRandom& random, Probes& probes)
      : clock_(clock), random_(random), probes_(probes) {}
  SimNet(const SimNet&) = delete;
  SimNet& operator=(const SimNet&) = delete;

  // For production code of that process, to call others.
  net::HttpDial dial_from(std::string host, std::uint64_t life, SimTimeline& line);
  void listen(const std::string& host, SimListener listener);
  void leave(const std::string& host) { listeners_.erase(host); }  // connections are refused
  // The process has ended. silent: its machine has, too, and nobody tells the others, until it is up again.
  void end_life(const std::string& host, std::uint64_t life, bool silent);
  void machine_is_up(const std::string& host) { off_.erase(host); }

  SimLink& link(const std::string& from, const std::string& to) { return links_[{from, to}]; }
  void mend_all() { links_.clear(); }
  // In either direction.
  bool is_troubled(const std::string& one, const std::string& other) const;

 private:
  friend class SimCaller;
  struct Connection;
  struct Pipe;
  struct Answer;
  class Caller;
  class Source;
  class Sink;
  class AnswerBody;
  using ConnectionPtr = std::shared_ptr<Connection>;

  bool is_cut(const std::string& from, const std::string& to) const;
  Duration travel(const std::string& from, const std::string& to);
  bool breaks(const std::string& from, const std::string& to);
  bool is_alive(const std::string& host, std::uint64_t life) const { return !ended_.contains({host, life}); }
  void remember(const ConnectionPtr& connection);
  void push(const ConnectionPtr& connection, bool to_server, std::function<void()> arrive);
  void pump(const ConnectionPtr& connection, bool to_server);
  void arrive(const ConnectionPtr& connection, bool to_server);
  // The end that is told sees the connection break, in a while.
  void break_at_client(const ConnectionPtr& connection, Duration after);
  void serve(const ConnectionPtr& connection, std::shared_ptr<struct SimRequest> request,
             std::shared_ptr<Answer> answer);
  void note_order(const std::string& from, const std::string& to, std::uint64_t sent);
  static Task<> carry_out(SimNet* net, ConnectionPtr connection, std::shared_ptr<struct SimRequest> request,
                          std::shared_ptr<Answer> answer, SimListener listener);

  SimClock& clock_;
  SimRandom& random_;
  Probes& probes_;
  std::map<std::string, SimListener> listeners_;
  std::map<std::pair<std::string, std::string>, SimLink> links_;
  std::set<std::pair<std::string, std::uint64_t>> ended_;  // lives
  std::set<std::string> off_;                              // machines
  std::map<std::uint64_t, std::weak_ptr<Connection>> connections_;
  std::size_t most_connections_ = 0;  // before those that have gone are forgotten
  std::uint64_t made_ = 0;
  std::uint64_t sent_ = 0;                                                // requests
  std::map<std::pair<std::string, std::string>, std::uint64_t> arrived_;  // the latest of them, by its number
};

}  // namespace ostraka::sim
