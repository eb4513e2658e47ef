#include "cmd/admin_client.h"

#include <fmt/format.h>

#include "base/encoding.h"
#include "base/hash.h"
#include "iam/signer.h"

namespace ostraka::cmd {
namespace {

using Json = nlohmann::ordered_json;
constexpr std::size_t kMaxAnswerBytes = 64U << 20;
constexpr std::size_t kMaxCaBytes = 1U << 20;
constexpr Duration kAnswerTime = std::chrono::seconds(60);

struct Url {
  net::HostPort peer;
  bool tls = false;
};

Result<Url> parse_url(const std::string& text) {
  Url url;
  std::string_view rest = text;
  if (rest.starts_with("https://")) {
    url.tls = true;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    return fail(Errc::invalid_argument,
                fmt::format("{}: give the node's console address as http://host:port", text));
  }
  while (rest.ends_with('/')) rest.remove_suffix(1);
  TRY(peer, net::parse_host_port(rest));
  url.peer = std::move(peer);
  return url;
}

}  // namespace

Result<std::unique_ptr<AdminClient>> AdminClient::make(Fs& fs, Clock& clock, AdminTarget target) {
  TRY(url, parse_url(target.url));
  if (target.access_key.empty() || target.secret.reveal().empty()) {
    return fail(Errc::invalid_argument,
                "the admin API wants the root credential: set OSTRAKA_ROOT_USER and OSTRAKA_ROOT_PASSWORD");
  }
  std::shared_ptr<net::TlsClientContext> tls;
  if (url.tls) {
    std::string certificates;
    if (!target.ca_file.empty()) {
      TRY(text, fs.read_file(target.ca_file, kMaxCaBytes));
      certificates = std::move(text);
    }
    TRY(context, net::TlsClientContext::trust(certificates));
    tls = std::move(context);
  }
  return std::unique_ptr<AdminClient>(
      new AdminClient(clock, std::move(target), std::move(url.peer), std::move(tls)));
}

AdminClient::AdminClient(Clock& clock, AdminTarget target, net::HostPort peer,
                         std::shared_ptr<net::TlsClientContext> tls)
    : clock_(clock),
      target_(std::move(target)),
      peer_(std::move(peer)),
      tls_(tls != nullptr),
      shard_(0, clock, ShardSpec{.slab_bytes = 4096, .max_slabs = 1, .keep_slabs = 0}) {
  net::HttpClientConfig config;
  config.tls = std::move(tls);
  config.stall_timeout = kAnswerTime;
  http_ = std::make_unique<net::HttpClient>(shard_, std::move(config));
}

Result<Json> AdminClient::get(std::string_view target) {
  return call("GET", target, {});
}

Result<Json> AdminClient::post(std::string_view target, const Json& body) {
  return call("POST", target, body.dump());
}

void AdminClient::pause(Duration duration) {
  run_to_end(shard_, sleep_for(clock_, duration));
}

Result<Json> AdminClient::call(std::string_view method, std::string_view target, std::string body) {
  net::RequestHead head;
  head.method = method == "GET" ? net::Method::get : net::Method::post;
  head.method_text = std::string(method);
  head.target = std::string(target);
  head.headers.add("Host", to_string(peer_));
  const iam::SigningSpec spec{target_.access_key, target_.secret, target_.region, clock_.unix_ms()};
  iam::sign_request(head, spec, hex(digest(DigestKind::sha256, body)));

  net::ClientRequest request;
  request.peer = peer_;
  request.tls = tls_;
  request.method = std::string(method);
  request.target = std::string(target);
  for (const net::Header& header : head.headers.all())
    if (header.first != "Host") request.headers.add(header.first, header.second);  // the client adds it
  request.body = std::move(body);
  request.deadline = clock_.now() + kAnswerTime;
  request.repeatable = method == "GET";
  return run_to_end(shard_, exchange(std::move(request)));
}

Task<Result<Json>> AdminClient::exchange(net::ClientRequest request) {
  const std::string where = to_string(request.peer);
  auto answer = co_await http_->request(std::move(request));
  if (!answer) {
    co_return fail(
        answer.code(),
        fmt::format("{} does not answer ({}); is the server running, and is this its console address?", where,
                    answer.error().detail));
  }
  CO_TRY(text, co_await net::read_all(*answer->body, kMaxAnswerBytes));
  Json json = Json::parse(text, nullptr, false);
  const bool usable = json.is_object();
  if (answer->status != 200) {
    std::string reason = usable ? json.value("message", std::string()) : std::string();
    if (reason.empty())
      reason = "this is not the console address of an Ostraka server, or one of another release";
    co_return fail(Errc::refused, fmt::format("{} answered {}: {}", where, answer->status, reason));
  }
  if (!usable) co_return fail(Errc::malformed, where + " answered something that is not JSON");
  co_return json;
}

}  // namespace ostraka::cmd
