#include "tests/sim/s3_client.h"

#include <algorithm>

#include "base/encoding.h"
#include "base/hash.h"
#include "iam/signer.h"
#include "runtime/shard.h"

namespace ostraka::sim {
namespace {

class TextBody final : public net::BodySource {
 public:
  TextBody(std::string_view text, std::uint64_t seed) : text_(text), random_(seed) {}
  Task<Result<std::size_t>> read(MutableByteSpan out) override {
    const std::size_t most = text_.size() > 16384 ? 65536 : 1 + random_.below(4096);
    const std::size_t count = std::min({out.size(), text_.size() - at_, most});
    std::copy_n(text_.data() + at_, count, out.begin());
    at_ += count;
    co_return count;
  }

 private:
  const std::string_view text_;
  SimRandom random_;
  std::size_t at_ = 0;
};

class ReplySink final : public net::ResponseSink {
 public:
  explicit ReplySink(Exchange& exchange) : exchange_(exchange) {}
  Task<Result<>> respond(net::ResponseHead head, std::string body) override {
    if (exchange_.over) co_return fail(Errc::closed);
    keep(std::move(head));
    exchange_.reply.body = std::move(body);
    exchange_.reply.complete = started_ = true;
    co_return Result<>();
  }
  Task<Result<>> start(net::ResponseHead head, std::optional<std::uint64_t> content_length) override {
    if (exchange_.over) co_return fail(Errc::closed);
    keep(std::move(head));
    length_ = content_length;
    co_return Result<>();
  }
  Task<Result<>> write(std::span<const ByteSpan> parts) override {
    started_ = true;
    if (exchange_.over) co_return fail(Errc::closed);
    for (const ByteSpan part : parts) exchange_.reply.body += as_text(part);
    co_return Result<>();
  }
  Task<Result<>> finish() override {
    started_ = true;
    if (exchange_.over) co_return fail(Errc::closed);
    exchange_.reply.complete = !length_ || exchange_.reply.body.size() == *length_;
    co_return Result<>();
  }
  bool started() const noexcept override { return started_; }

 private:
  void keep(net::ResponseHead head) {
    exchange_.reply.status = head.status;
    exchange_.reply.headers = std::move(head.headers);
  }
  Exchange& exchange_;
  std::optional<std::uint64_t> length_;
  bool started_ = false;
};

net::Method method_of(std::string_view text) {
  if (text == "GET") return net::Method::get;
  if (text == "HEAD") return net::Method::head;
  if (text == "PUT") return net::Method::put;
  if (text == "POST") return net::Method::post;
  if (text == "DELETE") return net::Method::delete_;
  return net::Method::other;
}

}  // namespace

std::string S3Reply::etag() const {
  return unquoted(std::string(headers.get("etag")));
}

std::string S3Reply::code() const {
  return element(body, "Code");
}

Task<> serve(std::shared_ptr<Exchange> exchange, net::Service* service, Shard* shard, std::uint64_t seed) {
  const S3Request& request = exchange->request;
  net::RequestHead head;
  head.method = method_of(request.method);
  head.method_text = request.method;
  head.target = request.target;
  head.remote_address = "192.0.2.1:40000";
  head.headers = request.headers;
  head.headers.add("Host", "s3.sim");
  head.headers.add("Content-Length", std::to_string(request.body.size()));
  head.content_length = request.body.size();
  const iam::Secret secret{std::string(kRootPassword)};
  const iam::SigningSpec spec{
      .access_key = kRootUser, .secret = secret, .region = "us-east-1", .unix_ms = shard->clock().unix_ms()};
  iam::sign_request(head, spec,
                    request.admin ? hex(digest(DigestKind::sha256, request.body)) : "UNSIGNED-PAYLOAD");
  TextBody body(request.body, seed);
  ReplySink sink(*exchange);
  Ctx ctx{*shard, kNoDeadline, "SIM"};
  co_await service->serve(ctx, head, body, sink);
  exchange->end();
}

std::vector<std::string> elements(std::string_view xml, std::string_view name) {
  const std::string open = "<" + std::string(name) + ">", close = "</" + std::string(name) + ">";
  std::vector<std::string> out;
  for (std::size_t at = xml.find(open); at != std::string_view::npos; at = xml.find(open, at)) {
    at += open.size();
    const std::size_t end = xml.find(close, at);
    if (end == std::string_view::npos) break;
    out.emplace_back(xml.substr(at, end - at));
    at = end;
  }
  return out;
}

std::string unquoted(std::string etag) {
  for (const std::string_view mark : {"&quot;", "&#34;", "\""}) {
    for (std::size_t at = etag.find(mark); at != std::string::npos; at = etag.find(mark))
      etag.erase(at, mark.size());
  }
  return etag;
}

std::string element(std::string_view xml, std::string_view name) {
  const auto all = elements(xml, name);
  return all.empty() ? std::string() : all.front();
}

}  // namespace ostraka::sim
