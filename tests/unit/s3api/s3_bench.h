// A place to try S3Service: a memory object layer, a clock that stands still, requests signed as a client
// signs them, answers recorded.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/metrics.h"
#include "iam/signer.h"
#include "iam/sigv4.h"
#include "runtime/shard.h"
#include "s3api/s3_service.h"
#include "tests/unit/s3api/memory_object_layer.h"

namespace ostraka::s3api {

class StillClock final : public Clock {
 public:
  static constexpr std::int64_t kUnixMs = 1769862896789;  // 2026-01-31T12:34:56.789Z
  TimePoint now() const noexcept override { return now_; }
  std::int64_t unix_ms() const noexcept override { return kUnixMs; }
  std::unique_ptr<Timer> arm(IoExecutor, TimePoint, std::function<void()>) override {
    return std::make_unique<Timer>();
  }
  void advance(Duration by) { now_ += by; }

 private:
  TimePoint now_{std::chrono::hours(1)};
};

// How the client signs and sends.
enum class Sign { header, presign, anonymous, streaming, streaming_trailer, unsigned_trailer };

struct TestRequest {
  std::string method = "GET";
  std::string target = "/";
  std::string host = "s3.test";
  net::Headers headers;
  std::string body;
  Sign sign = Sign::header;
  bool send_length = true;
  std::string trailer;                         // "name:value" after a streaming body
  std::optional<std::string> body_on_the_way;  // what arrives instead of the signed one
  std::optional<std::uint64_t> cut_body_at;    // the connection ends there
  Errc cut_with = Errc::incomplete_body;
};

struct TestResponse {
  unsigned status = 0;  // 0: none came
  net::Headers headers;
  std::string body;
  bool complete = false;        // as long as announced
  std::uint64_t body_read = 0;  // bytes of the request's body that were asked for
};

class S3Bench {
 public:
  S3Bench();
  explicit S3Bench(S3Config config);
  TestResponse exchange(TestRequest request);
  // Of a request that is signed in the header.
  TestResponse exchange(std::string method, std::string target, std::string body = {},
                        net::Headers headers = {});

  static S3Config default_config();
  StillClock clock;
  Shard shard;
  MetricRegistry metrics;
  MemoryObjectLayer layer;
  iam::RootCredentials credentials;
  iam::SigV4Verifier verifier;
  S3Service service;
  static const iam::Secret& secret();
  static constexpr std::string_view kAccessKey = "AKIDTEST";
};

}  // namespace ostraka::s3api
