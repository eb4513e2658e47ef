#include "cluster/etcd_client.h"

#include <utility>

#include "base/check.h"
#include "cluster/limits.h"

namespace ostraka::cluster {

namespace {

constexpr std::size_t kPieceBytes = 64U << 10;

net::HttpClientConfig http_config(const EtcdConfig& config) {
  net::HttpClientConfig out;
  out.tls = config.tls;
  out.connect_timeout = kEtcdConnect;
  out.stall_timeout = kEtcdAttempt;
  out.max_idle_per_peer = 4;
  return out;
}

bool contains(std::string_view text, std::string_view part) {
  return text.find(part) != std::string_view::npos;
}

std::string name_of(const EtcdConfig& config, std::size_t member) {
  return (config.tls ? "https://" : "http://") + net::to_string(config.endpoints[member]);
}

}  // namespace

std::string to_string(const EtcdConfig& config) {
  std::string out;
  for (std::size_t i = 0; i < config.endpoints.size(); ++i) out += (i == 0 ? "" : ", ") + name_of(config, i);
  return out;
}

EtcdClient::EtcdClient(Shard& shard, EtcdConfig config)
    : shard_(shard), config_(std::move(config)), http_(net::dial(config_.dial, shard, http_config(config_))) {
  CHECK(!config_.endpoints.empty());
}

void EtcdClient::pass_over(std::size_t member) noexcept {
  if (member == member_) member_ = (member_ + 1) % config_.endpoints.size();
}

net::ClientRequest EtcdClient::request_for(std::size_t member, std::string path, std::string body,
                                           TimePoint deadline) {
  net::ClientRequest request;
  request.peer = config_.endpoints[member];
  request.tls = config_.tls != nullptr;
  request.method = "POST";
  request.target = std::move(path);
  request.headers.add("Content-Type", "application/json");
  request.headers.add("Grpc-Metadata-hasleader", "true");
  if (!token_.empty()) request.headers.add("Authorization", token_);
  request.body = std::move(body);
  request.deadline = deadline;
  return request;
}

// Codes of gRPC, and the texts of etcd's rpctypes where a code has several meanings.
EtcdClient::Said EtcdClient::read_failure(std::string_view body, bool has_user) {
  const EtcdFailure failure = parse_etcd_failure(body);
  Said said;
  said.then = Said::Then::refused;
  said.error = {Errc::unavailable, failure.message};
  const bool stale_token = contains(failure.message, "user name is empty") ||
                           contains(failure.message, "auth store is old") ||
                           contains(failure.message, "invalid auth token");
  if (has_user && (failure.code == 16 || stale_token)) {
    said.then = Said::Then::log_in;
    return said;
  }
  switch (failure.code) {
    case 3:
      said.error.code = contains(failure.message, "too large") ? Errc::too_large : Errc::access_denied;
      break;
    case 5:
      said.error.code = Errc::not_found;
      break;
    case 7:
    case 16:
      said.error.code = Errc::access_denied;
      break;
    case 8:  // no space, or too many requests
      said.then = Said::Then::elsewhere;
      break;
    case 9:  // failed precondition: for example authentication is not enabled
      break;
    case 11:
      said.error.code = Errc::conflict;
      break;
    default:
      said.then = contains(failure.message, "no leader") ? Said::Then::leaderless : Said::Then::lost;
  }
  return said;
}

Task<EtcdClient::Said> EtcdClient::ask(std::size_t member, std::string path, std::string body,
                                       TimePoint deadline) {
  Said said;
  said.then = Said::Then::lost;
  net::ClientRequest request = request_for(member, std::move(path), std::move(body), deadline);
  request.end_by = deadline;  // of the answer's body too
  auto response = co_await http_->request(std::move(request));
  if (!response) {
    said.error = std::move(response).error();
    // A connection that could not be made: nothing was sent.
    if (said.error.code == Errc::unavailable || said.error.code == Errc::invalid_argument)
      said.then = Said::Then::elsewhere;
    co_return said;
  }
  auto text = co_await net::read_all(*response->body, kMaxEtcdAnswer);
  if (!text) {
    said.error = std::move(text).error();
    if (said.error.code == Errc::too_large) said.then = Said::Then::refused;
    co_return said;
  }
  if (response->status != 200) co_return read_failure(*text, !config_.user.empty());
  said.then = Said::Then::good;
  said.body = std::move(*text);
  co_return said;
}

Task<Result<>> EtcdClient::log_in(std::size_t member, TimePoint deadline) {
  token_.clear();
  std::string path = "/v3/auth/authenticate";
  std::string body = etcd_login_request(config_.user, config_.password);
  Said said = co_await ask(member, std::move(path), std::move(body), deadline);
  if (said.then == Said::Then::good) {
    CO_TRY(token, parse_etcd_login(said.body));
    token_ = std::move(token);
    co_return Result<>();
  }
  const bool refused = said.then == Said::Then::refused || said.then == Said::Then::log_in;
  co_return fail(refused ? Errc::access_denied : Errc::unavailable,
                 "logging in as " + config_.user + ": " + said.error.detail);
}

Task<Result<std::string>> EtcdClient::call(std::string path, std::string body, Kind kind, TimePoint deadline,
                                           std::size_t* by) {
  Clock& clock = shard_.clock();
  const TimePoint elected_by = std::min(deadline, deadline_after(clock.now(), kEtcdElection));
  bool leaderless = false, logged_in = false;
  std::string reasons;
  for (std::size_t tried = 0;;) {
    const TimePoint now = clock.now();
    if (now >= deadline) break;
    const std::size_t member = member_;
    const TimePoint until = std::min(deadline, deadline_after(now, kEtcdAttempt));
    Said said;
    if (!config_.user.empty() && token_.empty()) {
      const Result<> known = co_await log_in(member, until);
      logged_in = true;
      if (known.failed_with(Errc::access_denied)) co_return fail(Errc::access_denied, known.error().detail);
      if (!known) {
        said.then = Said::Then::elsewhere;
        said.error = known.error();
      }
    }
    if (said.then == Said::Then::good) said = co_await ask(member, path, body, until);
    if (said.then == Said::Then::good) {
      if (by != nullptr) *by = member;
      co_return std::move(said.body);
    }
    if (said.then == Said::Then::refused) co_return tl::unexpected<Error>(std::move(said.error));
    if (said.then == Said::Then::log_in) {
      if (logged_in) co_return fail(Errc::access_denied, said.error.detail);
      token_.clear();
      continue;
    }
    std::string reason = name_of(config_, member) + ": ";
    reason += said.error.detail.empty() ? std::string(to_string(said.error.code)) : said.error.detail;
    pass_over(member);
    if (said.then == Said::Then::lost && kind == Kind::changes) co_return fail(Errc::in_doubt, reason);
    leaderless = leaderless || said.then == Said::Then::leaderless;
    if (tried < config_.endpoints.size()) reasons += (reasons.empty() ? "" : "; ") + reason;
    if (++tried % config_.endpoints.size() != 0) continue;
    if (!leaderless || clock.now() >= elected_by) break;
    leaderless = false;
    co_await sleep_for(clock, kEtcdRetry);
  }
  co_return fail(Errc::unavailable,
                 "etcd does not answer: " + (reasons.empty() ? to_string(config_) : reasons));
}

Task<Result<EtcdRange>> EtcdClient::range(EtcdRangeSpec spec, TimePoint deadline) {
  std::string path = "/v3/kv/range";
  std::string body = etcd_range_request(spec);
  std::size_t member = 0;
  CO_TRY(text, co_await call(std::move(path), std::move(body), Kind::reads, deadline, &member));
  CO_TRY(range, parse_etcd_range(text));
  range.member = member;
  co_return range;
}

Task<Result<EtcdTxn>> EtcdClient::txn(EtcdTxnSpec spec, TimePoint deadline) {
  std::string path = "/v3/kv/txn";
  std::string body = etcd_txn_request(spec);
  CO_TRY(text, co_await call(std::move(path), std::move(body), Kind::changes, deadline));
  auto parsed = parse_etcd_txn(text);
  if (!parsed) co_return fail(Errc::in_doubt, parsed.error().detail);
  co_return parsed;
}

Task<Result<EtcdLease>> EtcdClient::grant(std::chrono::seconds ttl, TimePoint deadline) {
  std::string path = "/v3/lease/grant";
  std::string body = etcd_grant_request(static_cast<std::uint64_t>(ttl.count()));
  CO_TRY(text, co_await call(std::move(path), std::move(body), Kind::changes, deadline));
  co_return parse_etcd_lease(text);
}

Task<Result<EtcdLease>> EtcdClient::keep_alive(std::uint64_t lease, TimePoint deadline) {
  std::string path = "/v3/lease/keepalive";
  std::string body = etcd_lease_request(lease);
  CO_TRY(text, co_await call(std::move(path), std::move(body), Kind::reads, deadline));
  CO_TRY(kept, parse_etcd_keep_alive(text));
  if (kept.ttl_seconds == 0) co_return fail(Errc::not_found, "the lease has ended");
  co_return kept;
}

Task<Result<>> EtcdClient::revoke(std::uint64_t lease, TimePoint deadline) {
  std::string path = "/v3/lease/revoke";
  std::string body = etcd_lease_request(lease);
  CO_TRY(text, co_await call(std::move(path), std::move(body), Kind::reads, deadline));
  co_return Result<>();
}

Task<Result<EtcdStatus>> EtcdClient::status(TimePoint deadline) {
  std::string path = "/v3/maintenance/status";
  std::string body = "{}";
  CO_TRY(text, co_await call(std::move(path), std::move(body), Kind::reads, deadline));
  co_return parse_etcd_status(text);
}

Task<Result<std::unique_ptr<EtcdWatch>>> EtcdClient::watch(net::HttpCaller& over, EtcdKeys keys,
                                                           std::uint64_t start_revision, TimePoint deadline) {
  std::string reasons;
  for (std::size_t tried = 0; tried < config_.endpoints.size(); ++tried) {
    const TimePoint now = shard_.clock().now();
    const std::size_t member = member_;
    const TimePoint until = std::min(deadline, deadline_after(now, kEtcdAttempt));
    Error error;
    if (!config_.user.empty() && token_.empty()) {
      const Result<> known = co_await log_in(member, until);
      if (!known) error = known.error();
    }
    if (error.detail.empty()) {
      std::string path = "/v3/watch";
      std::string body = etcd_watch_request(keys, start_revision);
      net::ClientRequest request = request_for(member, std::move(path), std::move(body), until);
      auto response = co_await over.request(std::move(request));
      if (response && response->status == 200)
        co_return std::make_unique<EtcdWatch>(std::move(*response), member);
      if (response) {
        const auto text = co_await net::read_all(*response->body, kMaxEtcdAnswer);
        Said said = read_failure(text.value_or(std::string()), !config_.user.empty());
        if (said.then == Said::Then::log_in) token_.clear();
        error = std::move(said.error);
      } else {
        error = std::move(response).error();
      }
    }
    const std::string why = error.detail.empty() ? std::string(to_string(error.code)) : error.detail;
    reasons += (reasons.empty() ? "" : "; ") + name_of(config_, member) + ": " + why;
    pass_over(member);
  }
  co_return fail(Errc::unavailable, "etcd does not answer: " + reasons);
}

EtcdWatch::EtcdWatch(net::ClientResponse response, std::size_t member)
    : response_(std::move(response)), member_(member), piece_(Buffer::on_heap(kPieceBytes)) {}

Task<Result<EtcdWatchAnswer>> EtcdWatch::next() {
  for (;;) {
    const auto end = unread_.find('\n', searched_);
    if (end != std::string::npos) {
      auto answer = parse_etcd_watch(std::string_view(unread_).substr(0, end));
      unread_.erase(0, end + 1);
      searched_ = 0;
      co_return answer;
    }
    searched_ = unread_.size();
    if (unread_.size() > kMaxEtcdAnswer) co_return fail(Errc::too_large, "one answer to a watch");
    const MutableByteSpan room = piece_.span();
    CO_TRY(got, co_await response_.body->read(room));
    if (got == 0) co_return fail(Errc::closed, "etcd ended the watch");
    unread_.append(reinterpret_cast<const char*>(room.data()), got);
  }
}

}  // namespace ostraka::cluster
