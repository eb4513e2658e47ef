// A node of the fixture as clients ask it, but without a socket: requests, signed by the root user or not,
// and answers.
#pragma once

#include <algorithm>
#include <cstring>
#include <string>

#include "base/encoding.h"
#include "base/hash.h"
#include "iam/signer.h"
#include "tests/unit/cmd/node_fixture.h"

namespace ostraka::cmd {

class RequestBody final : public net::BodySource {
 public:
  explicit RequestBody(std::string text) : text_(std::move(text)) {}
  Task<Result<std::size_t>> read(MutableByteSpan out) override {
    const std::size_t bytes = std::min(out.size(), text_.size() - at_);
    std::memcpy(out.data(), text_.data() + at_, bytes);
    at_ += bytes;
    co_return bytes;
  }

 private:
  const std::string text_;
  std::size_t at_ = 0;
};

class KeptAnswer final : public net::ResponseSink {
 public:
  Task<Result<>> respond(net::ResponseHead head, std::string body) override {
    status = head.status;
    text = std::move(body);
    co_return Result<>{};
  }
  Task<Result<>> start(net::ResponseHead head, std::optional<std::uint64_t>) override {
    status = head.status;
    co_return Result<>{};
  }
  Task<Result<>> write(std::span<const ByteSpan> parts) override {
    for (const ByteSpan part : parts) text += as_text(part);
    co_return Result<>{};
  }
  Task<Result<>> finish() override { co_return Result<>{}; }
  bool started() const noexcept override { return status != 0; }
  unsigned status = 0;
  std::string text;
};

class NodeRequests : public NodeFixture {
 protected:
  NodeRequests() {
    config_.root_user = "root-user";
    config_.root_password = "root-password";
  }
  KeptAnswer send(net::Service& service, net::RequestHead head, std::string body = "") {
    KeptAnswer sink;
    RequestBody source(std::move(body));
    run_to_end(shard_, serve(this, &service, &head, &source, &sink));
    return sink;
  }
  net::RequestHead head(net::Method method, std::string target) const {
    net::RequestHead out;
    out.method = method;
    out.method_text = std::string(to_string(method));
    out.target = std::move(target);
    out.headers.add("Host", "localhost");
    return out;
  }
  net::RequestHead signed_head(net::Method method, std::string target, const std::string& body,
                               const std::string& user = "root-user",
                               const std::string& password = "root-password") const {
    net::RequestHead out = head(method, std::move(target));
    const iam::Secret secret(password);
    const iam::SigningSpec spec{user, secret, config_.region, clock_.unix_ms()};
    iam::sign_request(out, spec, hex(digest(DigestKind::sha256, body)));
    return out;
  }

  ServerConfig config_;

 private:
  static Task<> serve(NodeRequests* self, net::Service* service, net::RequestHead* head, RequestBody* body,
                      KeptAnswer* sink) {
    Ctx ctx{self->shard_, self->clock_.now() + std::chrono::seconds(30), "test"};
    co_await service->serve(ctx, *head, *body, *sink);
  }
};

}  // namespace ostraka::cmd
