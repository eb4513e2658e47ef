#include "admin/admin_api.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/encoding.h"
#include "base/hash.h"
#include "base/log.h"
#include "runtime/shard.h"

namespace ostraka::admin {
namespace {

constexpr std::size_t kMaxBodyBytes = 64U << 10;
// A deep look at a large object reads all of it.
constexpr Duration kLongestAnswer = std::chrono::minutes(10);
constexpr Duration kLeaderTime = std::chrono::seconds(10);  // to tell how far the moving of data is

unsigned status_of(Errc code) noexcept {
  switch (code) {
    case Errc::access_denied:
    case Errc::signature_mismatch:
    case Errc::payload_hash_mismatch:
      return 403;
    case Errc::not_found:
    case Errc::no_such_bucket:
    case Errc::no_such_key:
      return 404;
    case Errc::method_not_allowed:
      return 405;
    case Errc::conflict:
      return 409;
    case Errc::invalid_argument:
    case Errc::malformed:
    case Errc::incomplete_body:
      return 400;
    case Errc::too_large:
      return 413;
    case Errc::unavailable:
    case Errc::deadline:
    case Errc::closed:
    case Errc::overloaded:
      return 503;
    default:
      return 500;
  }
}

Result<std::vector<std::pair<std::string, std::string>>> parse_query(std::string_view text) {
  std::vector<std::pair<std::string, std::string>> out;
  while (!text.empty()) {
    const std::string_view field = text.substr(0, text.find('&'));
    text.remove_prefix(std::min(text.size(), field.size() + 1));
    const std::size_t equals = field.find('=');
    auto name = percent_decode(field.substr(0, equals), Plus::literal);
    auto value = equals == std::string_view::npos ? std::optional<std::string>("")
                                                  : percent_decode(field.substr(equals + 1), Plus::literal);
    if (!name || !value) return fail(Errc::invalid_argument, "the query does not decode");
    out.emplace_back(std::move(*name), std::move(*value));
  }
  return out;
}

// A member of the body, or the fallback when it is not there.
template <class T>
Result<T> member(const ApiJson& body, const char* name, T fallback) {
  const auto at = body.find(name);
  if (at == body.end() || at->is_null()) return fallback;
  const bool fits = std::is_same_v<T, bool> ? at->is_boolean() : at->is_string();
  if (!fits) return fail(Errc::invalid_argument, fmt::format("{} is not of the right kind", name));
  return at->get<T>();
}

Result<std::uint64_t> number(std::string_view text) {
  const auto value = parse_u64(text);
  if (!value) return fail(Errc::invalid_argument, fmt::format("\"{}\" is not a number", text));
  return *value;
}

ApiNames names_of(const ApiContext& context) {
  ApiNames names;
  names.drive = [&context](const DriveId& id) {
    if (const auto slot = context.drives->slot_of(id)) return context.drives->entry(*slot).path;
    return to_string(id);
  };
  names.bucket = [&context](BucketId id) -> std::string {
    for (const object::BucketInfo& bucket : context.buckets.list())
      if (bucket.id == id) return bucket.name.get();
    return {};
  };
  return names;
}

}  // namespace

AdminApi::AdminApi(ApiContext context)
    : context_(std::move(context)), names_(names_of(context_)), growth_(context_.rebalancer) {}

Task<Result<ApiRequest>> AdminApi::admit(const net::RequestHead& head, net::BodySource& body) const {
  const auto authentication = context_.verifier.verify(head);
  if (!authentication) co_return fail(Errc::access_denied, authentication.error().message);
  if (!authentication->principal.root)
    co_return fail(Errc::access_denied, "the admin API is for the root user; sign the request with its key");
  if (authentication->payload != iam::PayloadKind::signed_hash)
    co_return fail(Errc::access_denied,
                   "the admin API wants the SHA-256 of the body in x-amz-content-sha256");
  CO_TRY(text, co_await net::read_all(body, kMaxBodyBytes));
  if (!constant_time_equal(hex(digest(DigestKind::sha256, text)), authentication->payload_sha256))
    co_return fail(Errc::payload_hash_mismatch, "the body is not the one that was signed");

  ApiRequest request;
  if (head.method != net::Method::get && head.method != net::Method::post)
    co_return fail(Errc::method_not_allowed, "GET and POST are served here");
  request.reads = head.method == net::Method::get;
  const std::string_view target = head.target;
  const std::size_t mark = target.find('?');
  if (!target.starts_with(kApiPath)) co_return fail(Errc::not_found, "the admin API is under /admin/v1/");
  request.path = std::string(target.substr(0, mark).substr(kApiPath.size()));
  if (mark != std::string_view::npos) {
    CO_TRY(query, parse_query(target.substr(mark + 1)));
    request.query = std::move(query);
  }
  request.body = ApiJson::object();
  if (!text.empty()) {
    request.body = ApiJson::parse(text, nullptr, false);
    if (!request.body.is_object()) co_return fail(Errc::malformed, "the body is not a JSON object");
  }
  co_return request;
}

Task<Result<ApiJson>> AdminApi::answer(Ctx& ctx, const ApiRequest& request) {
  if (context_.peers) co_return co_await answer_as_cluster(ctx, request);
  co_return co_await answer_here(ctx, request);
}

// Who has to be asked; this node's own name: itself.
cluster::NodeName AdminApi::node_for(const ApiRequest& request) const {
  const ApiPeers& peers = *context_.peers;
  if (is_growth_request(request)) return growth_.node_for(request, peers.self);
  if (request.path == "drive/trust") {
    const auto path = member(request.body, "drive", std::string());
    const auto slot = context_.drives->slot_of_path(path.value_or(""));
    return slot ? context_.drives->entry(*slot).node : peers.self;
  }
  const cluster::NodeName leader = peers.leader();
  return leader.empty() ? peers.self : leader;
}

Task<Result<ApiJson>> AdminApi::answer_as_cluster(Ctx& ctx, const ApiRequest& request) {
  const ApiPeers& peers = *context_.peers;
  const bool of_all = (request.path == "heal" && request.reads) || request.path == "heal/priority";
  std::string passed_on = encode_request(request);
  if (!of_all) {
    cluster::NodeName node = node_for(request);
    if (node == peers.self) co_return co_await answer_here(ctx, request);
    const bool known_here = is_growth_request(request) && request.reads;
    Ctx asking = ctx;
    if (known_here) asking.deadline = std::min(ctx.deadline, ctx.shard.clock().now() + kLeaderTime);
    Result<ApiJson> said = co_await ask_peer(asking, peers, std::move(node), std::move(passed_on));
    // Until another leads: all but what is just being moved every node knows.
    if (!said && known_here) co_return co_await answer_here(ctx, request);
    co_return said;
  }
  CO_TRY(out, co_await answer_here(ctx, request));
  const std::vector<PeerSaid> others = co_await ask_all_peers(ctx, peers, std::move(passed_on));
  ApiJson silent = ApiJson::array();
  for (const PeerSaid& said : others) {
    if (!said.answer)
      silent.push_back({{"node", said.node}, {"message", said.answer.error().detail}});
    else if (request.reads)
      merge_heal_status(out, *said.answer);
  }
  out["not_asked"] = std::move(silent);
  co_return out;
}

Task<Result<cluster::PeerAnswer>> AdminApi::serve(Ctx& ctx, const cluster::NodeName& from,
                                                  cluster::PeerCall call) {
  if (call.method != std::string(kAdminCalls) + "call")
    co_return fail(Errc::unsupported_version, "no such call here: " + call.method);
  CO_TRY(request, decode_request(call.head));
  auto answering = answer_here(ctx, request);
  const Result<ApiJson> out = co_await std::move(answering);
  if (!request.reads)
    log::info("admin request={} from={} path={} ok={}", ctx.request_id, from, request.path, out.has_value());
  if (!out) co_return tl::unexpected<Error>(out.error());
  cluster::PeerAnswer answer;
  answer.head = out->dump(-1, ' ', false, ApiJson::error_handler_t::replace);
  co_return answer;
}

Task<Result<ApiJson>> AdminApi::answer_here(Ctx& ctx, const ApiRequest& request) {
  if (request.path == "heal" || request.path.starts_with("heal/")) co_return heal(request);
  if (request.path == "scan" || request.path.starts_with("scan/")) co_return scan(request);
  if (request.path == "drive/trust" && !request.reads) co_return trust_drive(request);
  if (is_growth_request(request)) co_return co_await growth_.answer(ctx, request);
  if (request.path == "object" && request.reads) co_return co_await inspect(ctx, request);
  if (request.path == "usage" && request.reads) {
    const object::UsagePtr usage = co_await context_.usage.get(ctx, Duration::zero());
    co_return usage_json(*usage, names_,
                         [this](BucketId bucket) { return context_.scanner.last_verified(bucket); });
  }
  co_return fail(Errc::not_found, fmt::format("the admin API has no {}", request.path));
}

Result<ApiJson> AdminApi::heal(const ApiRequest& request) {
  if (request.reads) {
    if (request.path == "heal") return heal_status_json(context_.heal.status(), names_);
    TRY(id, number(std::string_view(request.path).substr(5)));
    TRY(run, context_.heal.run(id));
    return heal_run_json(run, names_);
  }
  if (request.path == "heal/start") {
    object::HealRunSpec spec;
    TRY(bucket, member(request.body, "bucket", std::string()));
    if (!bucket.empty()) spec.bucket = BucketName(std::move(bucket));
    TRY(prefix, member(request.body, "prefix", std::string()));
    spec.prefix = std::move(prefix);
    TRY(deep, member(request.body, "deep", false));
    spec.deep = deep;
    TRY(dry_run, member(request.body, "dry_run", false));
    spec.dry_run = dry_run;
    TRY(id, context_.heal.start_run(std::move(spec)));
    return ApiJson{{"id", id}};
  }
  if (request.path == "heal/cancel") {
    const auto at = request.body.find("id");
    if (at == request.body.end() || !at->is_number_unsigned())
      return fail(Errc::invalid_argument, "id: which run is to be cancelled");
    TRY_VOID(context_.heal.cancel_run(at->get<std::uint64_t>()));
    return ApiJson::object();
  }
  if (request.path == "heal/priority") {
    TRY(text, member(request.body, "priority", std::string()));
    const auto priority = object::parse_heal_priority(text);
    if (!priority) return fail(Errc::invalid_argument, "priority: idle, normal or high");
    context_.heal.set_priority(*priority);
    return ApiJson{{"priority", text}};
  }
  return fail(Errc::not_found, fmt::format("the admin API has no {}", request.path));
}

Result<ApiJson> AdminApi::scan(const ApiRequest& request) {
  if (request.reads && request.path == "scan") {
    ApiJson out = scan_pass_json(context_.scanner.status(), names_);
    const auto last = context_.scanner.last_deep_pass_ms();
    out["last_deep_pass_ms"] = last ? ApiJson(*last) : ApiJson(nullptr);
    return out;
  }
  if (request.reads) {
    TRY(id, number(std::string_view(request.path).substr(5)));
    const auto report = context_.scanner.report(id);
    if (!report) return fail(Errc::not_found, fmt::format("pass {} is not remembered", id));
    return scan_report_json(*report, names_);
  }
  if (request.path == "scan/start") {
    TRY(deep, member(request.body, "deep", true));
    TRY(id, context_.scanner.start(deep));
    return ApiJson{{"number", id}};
  }
  if (request.path == "scan/cancel") {
    context_.scanner.cancel();
    return ApiJson::object();
  }
  return fail(Errc::not_found, fmt::format("the admin API has no {}", request.path));
}

Result<ApiJson> AdminApi::trust_drive(const ApiRequest& request) {
  TRY(path, member(request.body, "drive", std::string()));
  const auto slot = context_.drives->slot_of_path(path);
  if (!slot || !context_.trust_drive)
    return fail(Errc::not_found, fmt::format("no drive has the folder \"{}\"", path));
  TRY_VOID(context_.trust_drive(*slot));
  return ApiJson{{"drive", path}};
}

Task<Result<ApiJson>> AdminApi::inspect(Ctx& ctx, const ApiRequest& request) {
  const std::string bucket(request.parameter("bucket")), key(request.parameter("key"));
  if (bucket.empty() || key.empty())
    co_return fail(Errc::invalid_argument, "bucket and key: of which object");
  CO_TRY(found, context_.buckets.find(BucketName(bucket)));
  const disk::ObjectRef ref = context_.sets.object(found->info.id, ObjectKey(key));
  erasure::ErasureSet& set = context_.sets.of(ref);
  erasure::HealSpec spec;
  spec.deep = request.parameter("deep") != "0";
  spec.dry_run = true;
  CO_TRY(report, co_await set.heal(ctx, ref, spec));
  const Inspection inspection{bucket,
                              key,
                              report,
                              set.drives(),
                              ref.group,
                              spec.deep,
                              context_.heal.history(found->info.id, key),
                              context_.scanner.last_verified(found->info.id)};
  co_return inspection_json(inspection, names_);
}

Task<> AdminApi::serve(Ctx& ctx, net::RequestHead& head, net::BodySource& body, net::ResponseSink& sink) {
  ctx.deadline = deadline_after(context_.clock.now(), kLongestAnswer);
  Result<ApiJson> out = fail(Errc::internal);
  Result<ApiRequest> request = co_await admit(head, body);
  if (request) {
    out = co_await answer(ctx, *request);
    if (!request->reads)
      log::info("admin request={} path={} ok={}", ctx.request_id, request->path, out.has_value());
  } else {
    out = tl::unexpected<Error>(request.error());
  }
  net::ResponseHead response;
  response.headers = {{"Content-Type", "application/json"},
                      {"Cache-Control", "no-store"},
                      {"X-Content-Type-Options", "nosniff"}};
  std::string text;
  if (out) {
    text = out->dump(1, ' ', false, ApiJson::error_handler_t::replace);  // keys may be any bytes
  } else {
    response.status = status_of(out.code());
    const Error& error = out.error();
    const ApiJson problem{
        {"error", to_string(error.code)},
        {"message", error.detail.empty() ? std::string(to_string(error.code)) : error.detail}};
    text = problem.dump(1, ' ', false, ApiJson::error_handler_t::replace);
  }
  text += '\n';
  const Result<> sent = co_await sink.respond(std::move(response), std::move(text));
  static_cast<void>(sent);  // a failure means that the asker went away
}

}  // namespace ostraka::admin
