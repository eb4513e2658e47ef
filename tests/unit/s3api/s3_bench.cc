#include "tests/unit/s3api/s3_bench.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/check.h"
#include "base/encoding.h"
#include "base/hash.h"

namespace ostraka::s3api {

namespace {

class TextBody final : public net::BodySource {
 public:
  TextBody(std::string_view text, std::optional<std::uint64_t> cut_at, Errc cut_with)
      : text_(text), cut_at_(cut_at), cut_with_(cut_with) {}
  Task<Result<std::size_t>> read(MutableByteSpan out) override {
    constexpr std::size_t kMostAtOnce = 1000;  // so that boundaries fall anywhere
    std::size_t count = std::min({out.size(), text_.size() - at_, kMostAtOnce});
    if (cut_at_ && at_ + count > *cut_at_) count = static_cast<std::size_t>(*cut_at_ - at_);
    if (count == 0 && at_ < text_.size() && !out.empty()) co_return fail(cut_with_);
    std::copy_n(text_.begin() + static_cast<std::ptrdiff_t>(at_), count, out.begin());
    at_ += count;
    co_return count;
  }
  std::uint64_t given() const noexcept { return at_; }

 private:
  std::string_view text_;
  std::optional<std::uint64_t> cut_at_;
  Errc cut_with_;
  std::size_t at_ = 0;
};

class RecordingSink final : public net::ResponseSink {
 public:
  explicit RecordingSink(TestResponse& out) : out_(out) {}
  Task<Result<>> respond(net::ResponseHead head, std::string body) override {
    CHECK(!started_);
    keep(std::move(head));
    out_.body = std::move(body);
    out_.complete = started_ = true;
    co_return Result<>();
  }
  Task<Result<>> start(net::ResponseHead head, std::optional<std::uint64_t> content_length) override {
    CHECK(!started_);
    keep(std::move(head));
    content_length_ = content_length;
    co_return Result<>();
  }
  Task<Result<>> write(std::span<const ByteSpan> parts) override {
    started_ = true;
    for (const ByteSpan part : parts) out_.body += as_text(part);
    co_return Result<>();
  }
  Task<Result<>> finish() override {
    started_ = true;
    out_.complete = !content_length_ || out_.body.size() == *content_length_;
    if (!out_.complete) co_return fail(Errc::internal, "an answer shorter than announced");
    co_return Result<>();
  }
  bool started() const noexcept override { return started_; }

 private:
  void keep(net::ResponseHead head) {
    out_.status = head.status;
    out_.headers = std::move(head.headers);
  }
  TestResponse& out_;
  std::optional<std::uint64_t> content_length_;
  bool started_ = false;
};

net::Method method_of(std::string_view text) {
  if (text == "GET") return net::Method::get;
  if (text == "HEAD") return net::Method::head;
  if (text == "PUT") return net::Method::put;
  if (text == "POST") return net::Method::post;
  if (text == "DELETE") return net::Method::delete_;
  if (text == "OPTIONS") return net::Method::options;
  return net::Method::other;
}

std::string chunk_header(std::size_t size, const iam::ChunkSigning* signing) {
  std::string out = fmt::format("{:x}", size);
  if (signing != nullptr) out += ";chunk-signature=" + signing->seed_signature;
  return out + "\r\n";
}

// The aws-chunked coding of a body in chunks of 8 KiB, with the trailer when there is one.
std::string aws_chunked(std::string_view body, std::string_view trailer, iam::ChunkSigning* signing) {
  constexpr std::size_t kChunkBytes = 8192;
  std::string out;
  for (;;) {
    const std::string_view chunk = body.substr(0, kChunkBytes);
    body.remove_prefix(chunk.size());
    if (signing != nullptr) iam::sign_chunk(*signing, chunk);
    out += chunk_header(chunk.size(), signing);
    if (chunk.empty()) break;
    out += chunk;
    out += "\r\n";
  }
  if (!trailer.empty()) {
    out += std::string(trailer) + "\r\n";
    if (signing != nullptr) {
      const std::string signature = iam::sign_trailers(*signing, std::string(trailer) + "\n");
      out += "x-amz-trailer-signature:" + signature + "\r\n";
    }
  }
  return out + "\r\n";
}

void sign(net::RequestHead& head, TestRequest& request) {
  const iam::SigningSpec spec{.access_key = S3Bench::kAccessKey,
                              .secret = S3Bench::secret(),
                              .region = "us-east-1",
                              .unix_ms = StillClock::kUnixMs};
  const auto stream = [&](std::string_view word, bool with_signatures) {
    head.headers.set("x-amz-decoded-content-length", std::to_string(request.body.size()));
    head.headers.set("content-encoding", "aws-chunked");
    iam::ChunkSigning signing = iam::sign_request(head, spec, word);
    request.body = aws_chunked(request.body, request.trailer, with_signatures ? &signing : nullptr);
  };
  switch (request.sign) {
    case Sign::header:
      iam::sign_request(head, spec, hex(digest(DigestKind::sha256, request.body)));
      return;
    case Sign::presign:
      head.target = iam::presign_target(head, spec, 600);
      return;
    case Sign::anonymous:
      return;
    case Sign::streaming:
      stream("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", true);
      return;
    case Sign::streaming_trailer:
      stream("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", true);
      return;
    case Sign::unsigned_trailer:
      stream("STREAMING-UNSIGNED-PAYLOAD-TRAILER", false);
      return;
  }
}

}  // namespace

const iam::Secret& S3Bench::secret() {
  static const iam::Secret kSecret("test-secret");
  return kSecret;
}

S3Config S3Bench::default_config() {
  S3Config config;
  config.domains = {"s3.test"};
  config.owner_id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
  config.host_id = "aG9zdA==";
  config.access_log = false;
  return config;
}

S3Bench::S3Bench() : S3Bench(default_config()) {}

S3Bench::S3Bench(S3Config config)
    : shard(0, clock, ShardSpec{}),
      layer(clock),
      credentials(std::string(kAccessKey), secret()),
      verifier(credentials, "us-east-1", clock),
      service(std::move(config), layer, verifier, metrics) {}

TestResponse S3Bench::exchange(TestRequest request) {
  net::RequestHead head;
  head.method = method_of(request.method);
  head.method_text = request.method;
  head.target = request.target;
  head.remote_address = "192.0.2.1:40000";
  head.headers = request.headers;
  if (head.headers.find("host") == nullptr) head.headers.add("Host", request.host);
  sign(head, request);
  if (request.body_on_the_way) request.body = *request.body_on_the_way;
  if (request.send_length) {
    if (head.headers.find("content-length") == nullptr) {
      head.headers.add("Content-Length", std::to_string(request.body.size()));
    }
    head.content_length = parse_u64(head.headers.get("content-length"));
  } else if (request.body.empty()) {
    head.content_length = 0;  // as the server reads a head without any length: no body
  } else {
    head.chunked = true;
  }
  TestResponse out;
  TextBody body(request.body, request.cut_body_at, request.cut_with);
  RecordingSink sink(out);
  Ctx ctx{.shard = shard, .deadline = kNoDeadline, .request_id = "REQUEST1"};
  run_to_end(shard, service.serve(ctx, head, body, sink));
  out.body_read = body.given();
  return out;
}

TestResponse S3Bench::exchange(std::string method, std::string target, std::string body,
                               net::Headers headers) {
  TestRequest request;
  request.method = std::move(method);
  request.target = std::move(target);
  request.body = std::move(body);
  request.headers = std::move(headers);
  return exchange(std::move(request));
}

}  // namespace ostraka::s3api
