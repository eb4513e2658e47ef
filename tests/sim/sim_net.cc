#include "tests/sim/sim_net.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace ostraka::sim {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

constexpr Duration kConnectAgain = milliseconds(300);  // what is lost on the way is sent again
constexpr std::string_view kRefuses = " refuses the connection";
constexpr Duration kFirstResend = milliseconds(200);  // doubled up to
constexpr Duration kLongestResend = milliseconds(3200);
constexpr Duration kDeadAfter = seconds(12);  // without a sign of life, as HttpTransportConfig::dead_after

}  // namespace

struct SimRequest {
  std::uint64_t number = 0;
  net::RequestHead head;
  std::string body;
};

// One direction of a connection.
struct SimNet::Pipe {
  struct Item {
    TimePoint at{};
    std::function<void()> arrive;
  };
  std::deque<Item> items;
  bool pumping = false;
  Duration resend = kFirstResend;
  TimePoint stuck_since = TimePoint::max();
};

struct SimNet::Connection {
  std::uint64_t number = 0;
  std::string client, server;
  std::uint64_t client_life = 0, server_life = 0;
  SimTimeline* client_line = nullptr;
  bool broken = false;             // nothing is delivered any more
  bool noticed = false;            // the client knows
  TimePoint idle_since{};          // by the client's clock
  std::shared_ptr<Answer> answer;  // of the request that is under way
  Pipe to_server, to_client;
};

// What the client has of an answer.
struct SimNet::Answer {
  std::optional<unsigned> status;
  net::Headers headers;
  std::optional<std::uint64_t> length;
  std::string bytes;
  bool ended = false;
  bool broken = false;
  Event changed;
};

bool SimNet::is_cut(const std::string& from, const std::string& to) const {
  const auto found = links_.find({from, to});
  return (found != links_.end() && found->second.cut) || off_.contains(from) || off_.contains(to);
}

bool SimNet::is_troubled(const std::string& one, const std::string& other) const {
  const auto bad = [this](const std::string& from, const std::string& to) {
    const auto found = links_.find({from, to});
    return found != links_.end() &&
           (found->second.cut || found->second.breaking > 0 || found->second.slow > Duration::zero());
  };
  return bad(one, other) || bad(other, one);
}

void SimNet::note_order(const std::string& from, const std::string& to, std::uint64_t sent) {
  std::uint64_t& latest = arrived_[{from, to}];
  if (sent < latest) probes_.hit("net: a request comes after one that was sent later");
  latest = std::max(latest, sent);
}

Duration SimNet::travel(const std::string& from, const std::string& to) {
  Duration time = microseconds(random_.between(30, 300));
  if (random_.chance(0.05)) time += microseconds(random_.below(20'000));
  const auto found = links_.find({from, to});
  if (found != links_.end() && found->second.slow > Duration::zero())
    time += Duration(
        static_cast<std::int64_t>(random_.below(static_cast<std::uint64_t>(found->second.slow.count()))));
  return time;
}

bool SimNet::breaks(const std::string& from, const std::string& to) {
  const auto found = links_.find({from, to});
  return found != links_.end() && found->second.breaking > 0 && random_.chance(found->second.breaking);
}

void SimNet::remember(const ConnectionPtr& connection) {
  if (connections_.size() >= most_connections_) {
    std::erase_if(connections_, [](const auto& entry) { return entry.second.expired(); });
    most_connections_ = 2 * connections_.size() + 64;
  }
  connections_[connection->number] = connection;
}

void SimNet::listen(const std::string& host, SimListener listener) {
  listeners_[host] = listener;
}

void SimNet::end_life(const std::string& host, std::uint64_t life, bool silent) {
  listeners_.erase(host);
  ended_.insert({host, life});
  if (silent) off_.insert(host);
  for (const auto& [number, weak] : connections_) {
    const auto connection = weak.lock();
    if (!connection || connection->broken) continue;
    if (connection->client == host && connection->client_life == life) {
      // What a killed process has sent its kernel still delivers.
      const bool delivers = !silent && !connection->to_server.items.empty() && random_.chance(0.5);
      if (delivers) probes_.hit("net: a request of a process that is dead");
      break_at_client(connection, Duration::zero());
      connection->broken = !delivers;
    }
    if (connection->server != host || connection->server_life != life) continue;
    connection->broken = true;
    // A kernel that is still there says so; otherwise silence does.
    const bool told = !silent && !is_cut(host, connection->client);
    break_at_client(connection, told ? travel(host, connection->client) : kDeadAfter);
  }
}

void SimNet::break_at_client(const ConnectionPtr& connection, Duration after) {
  connection->broken = true;
  connection->client_line->after(after, [connection] {
    connection->noticed = true;
    const std::shared_ptr<Answer> answer = connection->answer;
    if (!answer || answer->ended) return;
    answer->broken = true;
    answer->changed.set();
  });
}

void SimNet::push(const ConnectionPtr& connection, bool to_server, std::function<void()> item) {
  if (connection->broken) return;
  const std::string& from = to_server ? connection->client : connection->server;
  const std::string& to = to_server ? connection->server : connection->client;
  Pipe& pipe = to_server ? connection->to_server : connection->to_client;
  TimePoint at = clock_.now() + travel(from, to);
  if (!pipe.items.empty()) at = std::max(at, pipe.items.back().at);
  pipe.items.push_back({at, std::move(item)});
  if (!pipe.pumping) pump(connection, to_server);
}

void SimNet::pump(const ConnectionPtr& connection, bool to_server) {
  Pipe& pipe = to_server ? connection->to_server : connection->to_client;
  pipe.pumping = !pipe.items.empty() && !connection->broken;
  if (!pipe.pumping) return;
  clock_.after(pipe.items.front().at - clock_.now(),
               [this, connection, to_server] { arrive(connection, to_server); });
}

void SimNet::arrive(const ConnectionPtr& connection, bool to_server) {
  Pipe& pipe = to_server ? connection->to_server : connection->to_client;
  const std::string& from = to_server ? connection->client : connection->server;
  const std::string& to = to_server ? connection->server : connection->client;
  if (connection->broken) return pump(connection, to_server);
  if (is_cut(from, to)) {
    probes_.hit("net: what is sent does not get through");
    if (pipe.stuck_since == TimePoint::max()) pipe.stuck_since = clock_.now();
    if (clock_.now() - pipe.stuck_since >= kDeadAfter) {
      probes_.hit("net: a connection without a sign of life");
      break_at_client(connection, Duration::zero());
      return pump(connection, to_server);
    }
    pipe.items.front().at = clock_.now() + pipe.resend;
    pipe.resend = std::min(2 * pipe.resend, kLongestResend);
    return pump(connection, to_server);
  }
  if (pipe.stuck_since != TimePoint::max()) probes_.hit("net: what was sent long ago arrives");
  pipe.stuck_since = TimePoint::max();
  pipe.resend = kFirstResend;
  const bool break_it = breaks(from, to);
  const bool before = break_it && random_.chance(0.5);
  std::function<void()> item = std::move(pipe.items.front().arrive);
  pipe.items.pop_front();
  if (!before) item();
  if (break_it && !connection->broken) {
    probes_.hit(before ? "net: a connection breaks before a message" : "net: a connection breaks after one");
    break_at_client(connection, travel(to, from));
  }
  pump(connection, to_server);
}

// --- the server's side

class SimNet::Source final : public net::BodySource {
 public:
  explicit Source(const std::string& text) : text_(text) {}
  Task<Result<std::size_t>> read(MutableByteSpan out) override {
    const std::size_t count = std::min(out.size(), text_.size() - at_);
    std::copy_n(text_.data() + at_, count, out.begin());
    at_ += count;
    co_return count;
  }

 private:
  const std::string& text_;
  std::size_t at_ = 0;
};

class SimNet::Sink final : public net::ResponseSink {
 public:
  Sink(SimNet& net, ConnectionPtr connection, std::shared_ptr<Answer> answer)
      : net_(net), connection_(std::move(connection)), answer_(std::move(answer)) {}
  Task<Result<>> respond(net::ResponseHead head, std::string body) override {
    head_ = std::move(head);
    length_ = body.size();
    send(std::move(body), true);
    co_return said();
  }
  Task<Result<>> start(net::ResponseHead head, std::optional<std::uint64_t> content_length) override {
    head_ = std::move(head);
    length_ = content_length;
    co_return said();
  }
  Task<Result<>> write(std::span<const ByteSpan> parts) override {
    std::string bytes;
    for (const ByteSpan part : parts) bytes += as_text(part);
    send(std::move(bytes), false);
    co_return said();
  }
  Task<Result<>> finish() override {
    send({}, true);
    co_return said();
  }
  bool started() const noexcept override { return started_; }
  bool ended() const noexcept { return ended_; }

 private:
  Result<> said() const {
    if (connection_->broken) return fail(Errc::closed, "the connection broke");
    return {};
  }
  // On its way at once: a kernel takes what it is given.
  void send(std::string bytes, bool end) {
    const bool first = !std::exchange(started_, true);
    ended_ = ended_ || end;
    net_.push(connection_, false,
              [connection = connection_, answer = answer_, first, head = head_, length = length_,
               bytes = std::move(bytes), end] {
                connection->client_line->after(Duration::zero(), [answer, first, head, length, bytes, end] {
                  if (first) {
                    answer->status = head.status;
                    answer->headers = head.headers;
                    answer->length = length;
                  }
                  answer->bytes += bytes;
                  answer->ended = answer->ended || end;
                  answer->changed.set();
                });
              });
  }
  SimNet& net_;
  const ConnectionPtr connection_;
  const std::shared_ptr<Answer> answer_;
  net::ResponseHead head_;
  std::optional<std::uint64_t> length_;
  bool started_ = false, ended_ = false;
};

// The request has come to the host.
void SimNet::serve(const ConnectionPtr& connection, std::shared_ptr<SimRequest> request,
                   std::shared_ptr<Answer> answer) {
  note_order(connection->client, connection->server, request->number);
  const auto found = listeners_.find(connection->server);
  if (found == listeners_.end() || found->second.life != connection->server_life) {
    break_at_client(connection, travel(connection->server, connection->client));
    return;
  }
  // Its process may be stopped: then it reads the request when it goes on.
  found->second.line->after(Duration::zero(), [this, connection, request, answer] {
    const auto listener = listeners_.find(connection->server);
    if (connection->broken) return;
    if (listener == listeners_.end() || listener->second.life != connection->server_life) {
      break_at_client(connection, travel(connection->server, connection->client));
      return;
    }
    const SimListener at = listener->second;
    auto task = carry_out(this, connection, request, answer, at);
    if (!at.gate->spawn(at.shard->executor(), std::move(task)))
      break_at_client(connection, travel(connection->server, connection->client));
  });
}

Task<> SimNet::carry_out(SimNet* net, ConnectionPtr connection, std::shared_ptr<SimRequest> request,
                         std::shared_ptr<Answer> answer, SimListener listener) {
  Source body(request->body);
  Sink sink(*net, connection, std::move(answer));
  Ctx ctx{*listener.shard, kNoDeadline, "NET"};
  co_await listener.service->serve(ctx, request->head, body, sink);
  // It is closed in the middle of the answer: what was sent before comes first.
  if (!sink.ended())
    net->push(connection, false, [net, connection] { net->break_at_client(connection, Duration::zero()); });
}

// --- the client's side

class SimNet::Caller final : public net::HttpCaller {
 public:
  Caller(SimNet& net, std::string host, std::uint64_t life, SimTimeline& line, Shard& shard,
         net::HttpClientConfig config)
      : net_(net),
        host_(std::move(host)),
        life_(life),
        line_(line),
        shard_(shard),
        config_(std::move(config)) {}
  ~Caller() override { Caller::abort(); }

  Task<Result<net::ClientResponse>> request(net::ClientRequest request) override;
  void abort() override {
    for (const auto& weak : used_)
      if (const auto connection = weak.lock()) close(connection);
    used_.clear();
    idle_.clear();
  }
  void give_back(ConnectionPtr connection) {
    connection->answer.reset();
    if (connection->noticed) return;
    auto& kept = idle_[connection->server];
    if (kept.size() >= config_.max_idle_per_peer) return close(connection);
    connection->idle_since = shard_.clock().now();
    kept.push_back(std::move(connection));
  }
  // What has been sent may still arrive, or not.
  void close(const ConnectionPtr& connection) {
    connection->noticed = true;
    if (connection->to_server.items.empty() || net_.random_.chance(0.5)) {
      connection->broken = true;
    } else {
      net_.probes_.hit("net: a request arrives that nobody waits for");
    }
    const std::shared_ptr<Answer> answer = std::exchange(connection->answer, nullptr);
    if (!answer || answer->ended) return;
    answer->broken = true;
    answer->changed.set();
  }
  Shard& shard() noexcept { return shard_; }
  bool alive() const { return net_.is_alive(host_, life_); }

 private:
  ConnectionPtr take_idle(const std::string& peer);
  Task<Result<ConnectionPtr>> connect(const net::ClientRequest& request);
  Task<Result<ConnectionPtr>> try_connect(std::string peer, TimePoint deadline);
  std::shared_ptr<SimRequest> message_of(const net::ClientRequest& request) const;

  SimNet& net_;
  const std::string host_;
  const std::uint64_t life_;
  SimTimeline& line_;
  Shard& shard_;
  const net::HttpClientConfig config_;
  std::map<std::string, std::vector<ConnectionPtr>> idle_;
  std::vector<std::weak_ptr<Connection>> used_;
};

class SimNet::AnswerBody final : public net::BodySource {
 public:
  AnswerBody(Caller& caller, ConnectionPtr connection, std::shared_ptr<Answer> answer, TimePoint end_by,
             Duration stall)
      : caller_(caller),
        connection_(std::move(connection)),
        answer_(std::move(answer)),
        end_by_(end_by),
        stall_(stall) {}
  ~AnswerBody() override {
    if (connection_) caller_.close(connection_);
  }
  Task<Result<std::size_t>> read(MutableByteSpan out) override {
    Clock& clock = caller_.shard().clock();
    for (;;) {
      if (!answer_->bytes.empty()) {
        const std::size_t count = std::min(out.size(), answer_->bytes.size());
        std::copy_n(answer_->bytes.data(), count, out.begin());
        answer_->bytes.erase(0, count);
        co_return count;
      }
      if (answer_->ended) {
        if (connection_) caller_.give_back(std::exchange(connection_, nullptr));
        co_return 0U;
      }
      if (answer_->broken || !caller_.alive()) co_return fail(Errc::closed, "the connection broke");
      answer_->changed.reset();
      const TimePoint until = std::min(end_by_, deadline_after(clock.now(), stall_));
      const bool more = co_await answer_->changed.wait_until(clock, until);
      if (!more) co_return fail(Errc::deadline, "the peer is too slow");
    }
  }

 private:
  Caller& caller_;
  ConnectionPtr connection_;
  const std::shared_ptr<Answer> answer_;
  const TimePoint end_by_;
  const Duration stall_;
};

SimNet::ConnectionPtr SimNet::Caller::take_idle(const std::string& peer) {
  auto& kept = idle_[peer];
  while (!kept.empty()) {
    ConnectionPtr connection = std::move(kept.back());
    kept.pop_back();
    const bool expired = shard_.clock().now() - connection->idle_since > config_.keep_idle;
    if (!connection->noticed && !expired) return connection;
  }
  return nullptr;
}

Task<Result<SimNet::ConnectionPtr>> SimNet::Caller::connect(const net::ClientRequest& request) {
  const TimePoint begin = shard_.clock().now();
  const TimePoint limit = deadline_after(begin, config_.connect_timeout);
  const TimePoint own = std::min(request.deadline, request.end_by);
  std::string peer = request.peer.host;
  auto made = co_await try_connect(std::move(peer), std::min(limit, own));
  if (config_.on_connect) {
    const TimePoint end = shard_.clock().now();
    net::ConnectOutcome outcome{.peer = request.peer, .tls_name = request.tls_name, .took = end - begin};
    outcome.connected = made.has_value();
    outcome.ran_out = !made && own < limit && end >= own;
    outcome.refused = !made && made.error().detail.ends_with(kRefuses);
    if (!made) outcome.why = made.error().detail;
    config_.on_connect(outcome);
  }
  co_return made;
}

// There and back, twice, as with TLS: so the process itself must answer.
Task<Result<SimNet::ConnectionPtr>> SimNet::Caller::try_connect(std::string peer, TimePoint deadline) {
  Clock& clock = shard_.clock();
  for (;;) {
    const Duration trip = net_.travel(host_, peer) + net_.travel(peer, host_);
    co_await sleep_for(clock, std::min(trip, deadline - clock.now()));
    if (!alive()) co_return fail(Errc::unavailable, "this process is dead");
    if (clock.now() >= deadline) co_return fail(Errc::unavailable, "cannot connect to " + peer + " in time");
    const auto found = net_.listeners_.find(peer);
    const bool through = !net_.is_cut(host_, peer) && !net_.is_cut(peer, host_);
    if (through && found == net_.listeners_.end())
      co_return fail(Errc::unavailable, peer + std::string(kRefuses));
    if (through && !found->second.line->stopped()) {
      auto connection = std::make_shared<Connection>();
      connection->number = ++net_.made_;
      connection->client = host_;
      connection->server = peer;
      connection->client_life = life_;
      connection->server_life = found->second.life;
      connection->client_line = &line_;
      net_.remember(connection);
      co_return connection;
    }
    net_.probes_.hit("net: connecting takes more than one try");
    co_await sleep_for(clock, std::min(kConnectAgain, deadline - clock.now()));
  }
}

std::shared_ptr<SimRequest> SimNet::Caller::message_of(const net::ClientRequest& request) const {
  auto message = std::make_shared<SimRequest>();
  message->number = ++net_.sent_;
  net::RequestHead& head = message->head;
  head.method = request.method == "GET" ? net::Method::get : net::Method::post;
  head.method_text = request.method;
  head.target = request.target;
  head.headers = request.headers;
  head.remote_address = host_;
  head.peer = host_;
  message->body = request.body;
  for (const ByteSpan part : request.parts) message->body += as_text(part);
  head.content_length = message->body.size();
  return message;
}

Task<Result<net::ClientResponse>> SimNet::Caller::request(net::ClientRequest request) {
  Clock& clock = shard_.clock();
  CHECK(request.source == nullptr);
  const Duration stall = request.stall.value_or(config_.stall_timeout);
  for (;;) {
    if (std::min(request.deadline, request.end_by) <= clock.now()) co_return fail(Errc::deadline);
    if (!alive()) co_return fail(Errc::unavailable, "this process is dead");
    ConnectionPtr connection = take_idle(request.peer.host);
    const bool reused = connection != nullptr;
    if (!connection && !request.may_connect) co_return fail(Errc::unavailable, "no connection is kept");
    if (!connection) {
      auto connected = co_await connect(request);
      if (!connected) co_return tl::unexpected<Error>(std::move(connected).error());
      connection = std::move(*connected);
    }
    auto answer = std::make_shared<Answer>();
    connection->answer = answer;
    if (!reused) {
      std::erase_if(used_, [](const auto& weak) { return weak.expired(); });
      used_.push_back(connection);
    }
    if (request.on_sending) {
      request.on_sending([weak = std::weak_ptr<Connection>(connection), this] {
        if (const auto at = weak.lock()) close(at);
      });
    }
    const std::shared_ptr<SimRequest> message = message_of(request);
    net_.push(connection, true,
              [net = &net_, connection, message, answer] { net->serve(connection, message, answer); });
    if (connection->broken) {  // the other end has gone, and has not told this one yet
      net_.probes_.hit("net: a request on a connection that is dead");
      if (!net_.is_cut(host_, request.peer.host) && !net_.is_cut(request.peer.host, host_))
        net_.break_at_client(connection, net_.travel(request.peer.host, host_));
    }
    Errc failed = Errc::closed;
    while (!answer->status && !answer->broken) {
      const TimePoint until =
          std::min({request.deadline, request.end_by, deadline_after(clock.now(), stall)});
      answer->changed.reset();
      const bool woken = co_await answer->changed.wait_until(clock, until);
      if (!alive()) break;
      if (woken) continue;
      failed = Errc::deadline;
      break;
    }
    if (answer->status && alive()) {
      net::ClientResponse response;
      response.status = *answer->status;
      response.headers = answer->headers;
      response.content_length = answer->length;
      response.body =
          std::make_unique<AnswerBody>(*this, std::move(connection), answer, request.end_by, stall);
      co_return response;
    }
    const bool broke = answer->broken;
    close(connection);
    if (reused && broke && request.repeatable && alive()) {
      net_.probes_.hit("net: a request is sent a second time");
      continue;
    }
    co_return fail(failed, request.peer.host + ": the connection broke");
  }
}

net::HttpDial SimNet::dial_from(std::string host, std::uint64_t life, SimTimeline& line) {
  return [this, host = std::move(host), life, &line](Shard& shard, net::HttpClientConfig config) {
    return std::unique_ptr<net::HttpCaller>(
        std::make_unique<Caller>(*this, host, life, line, shard, std::move(config)));
  };
}

}  // namespace ostraka::sim
