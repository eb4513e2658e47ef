#include "test_server.h"

#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <stdexcept>

#include "base/encoding.h"
#include "runtime/fs.h"

namespace ostraka::net {

using namespace std::chrono_literals;

namespace {

ResponseHead ok() {
  return ResponseHead{.status = 200, .headers = {{"Content-Type", "text/plain"}}};
}

// Writes `total` bytes in gather writes of three parts.
Task<Result<>> write_pattern(ResponseSink& sink, std::size_t total) {
  std::string block(300000, 'x');
  for (std::size_t i = 0; i < block.size(); ++i) block[i] = static_cast<char>('a' + i % 23);
  std::size_t left = total;
  while (left > 0) {
    const std::size_t now = std::min(left, block.size());
    const ByteSpan all = as_bytes(block).first(now);
    const std::array<ByteSpan, 3> parts{all.first(now / 3), all.subspan(now / 3, now / 3),
                                        all.subspan(now / 3 * 2)};
    CO_TRY_VOID(co_await sink.write(parts));
    left -= now;
  }
  co_return Result<>();
}

}  // namespace

Task<> TestService::serve(Ctx& ctx, RequestHead& head, BodySource& body, ResponseSink& sink) {
  ++calls;
  const std::string target = head.target;
  Result<> sent;
  if (target == "/echo") {
    Result<std::string> text = co_await read_all(body, 64U << 20);
    if (!text) last_read_error = static_cast<int>(text.code());
    ResponseHead answer = ok();
    answer.status = text ? 200 : 400;
    std::string reply = text ? std::move(*text) : text.error().detail;
    sent = co_await sink.respond(std::move(answer), std::move(reply));
  } else if (target == "/count") {  // the way a PUT reads: into a large target
    std::string into(1U << 20, '\0');
    const MutableByteSpan span(reinterpret_cast<std::uint8_t*>(into.data()), into.size());
    std::uint64_t total = 0;
    for (;;) {
      const auto got = co_await read_full(body, span);
      if (!got) last_read_error = static_cast<int>(got.code());
      if (!got || *got == 0) break;
      total += *got;
    }
    std::string reply = std::to_string(total);
    sent = co_await sink.respond(ok(), std::move(reply));
  } else if (target == "/info") {
    std::string reply =
        head.method_text + " " + ctx.request_id + " " + head.remote_address + (head.tls ? " tls" : "");
    ResponseHead answer = ok();
    answer.headers.add("X-Bad", "one\r\nInjected: two");
    sent = co_await sink.respond(std::move(answer), std::move(reply));
  } else if (target.starts_with("/big/")) {
    const std::size_t total = parse_u64(target.substr(5)).value_or(0);
    sent = co_await sink.start(ok(), total);
    if (sent) sent = co_await write_pattern(sink, total);
    if (sent) sent = co_await sink.finish();
  } else if (target.starts_with("/chunked/")) {
    const std::size_t total = parse_u64(target.substr(9)).value_or(0);
    sent = co_await sink.start(ok(), std::nullopt);
    if (sent) sent = co_await write_pattern(sink, total);
    if (sent) sent = co_await sink.finish();
  } else if (target == "/short") {
    sent = co_await sink.start(ok(), 10);
    const ByteSpan part = as_bytes("abc");
    sent = co_await sink.write(std::span<const ByteSpan>(&part, 1));
    sent = co_await sink.finish();
  } else if (target == "/replaced") {  // an error found after start(), with nothing sent yet
    sent = co_await sink.start(ok(), 10);
    const bool clean = !sink.started();
    ResponseHead answer;
    answer.status = clean ? 503 : 200;
    sent = co_await sink.respond(std::move(answer), "instead");
  } else if (target == "/ignore") {
    sent = co_await sink.respond(ok(), "ignored");
  } else if (target == "/slow") {
    co_await sleep_for(ctx.shard.clock(), 200ms);
    sent = co_await sink.respond(ok(), "slow");
  } else if (target == "/204") {
    ResponseHead answer;
    answer.status = 204;
    sent = co_await sink.respond(std::move(answer), "");
  } else if (target == "/throw") {
    throw std::runtime_error("as a library might");
  } else if (target != "/nothing") {
    sent = co_await sink.respond(ok(), "hello");
  }
  if (!sent) ++write_errors;
}

RawClient::RawClient(std::uint16_t port, bool v6) : fd_(::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM, 0)) {
  timeval limit{20, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  ::setsockopt(fd_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (v6) {
    sockaddr_in6 to{};
    to.sin6_family = AF_INET6;
    to.sin6_port = htons(port);
    to.sin6_addr = in6addr_loopback;
    EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
    return;
  }
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to), 0);
}
RawClient::~RawClient() {
  ::close(fd_);
}

void RawClient::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;  // the answer, or its absence, tells
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

bool RawClient::fill() {
  std::array<char, 65536> chunk{};
  const ssize_t got = ::recv(fd_, chunk.data(), chunk.size(), 0);
  if (got < 0) reset_ = true;
  if (got <= 0) return false;
  buffer_.append(chunk.data(), static_cast<std::size_t>(got));
  return true;
}

RawResponse RawClient::response(bool to_head) {
  std::size_t end = 0;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
    if (!fill()) return {};
  }
  RawResponse out;
  std::string head = buffer_.substr(0, end + 2);
  buffer_.erase(0, end + 4);
  out.status = std::stoi(head.substr(9, 3));
  for (std::size_t at = head.find("\r\n") + 2; at < head.size();) {
    const std::size_t line_end = head.find("\r\n", at);
    const std::string line = head.substr(at, line_end - at);
    const std::size_t colon = line.find(':');
    out.headers.emplace(to_lower(line.substr(0, colon)), std::string(trim(line.substr(colon + 1))));
    at = line_end + 2;
  }
  if (to_head || out.status == 100 || out.status == 204) return out;
  if (out.header("transfer-encoding") == "chunked") {
    for (;;) {
      while ((end = buffer_.find("\r\n")) == std::string::npos) {
        if (!fill()) return {};
      }
      const std::size_t size = std::stoul(buffer_.substr(0, end), nullptr, 16);
      while (buffer_.size() < end + 2 + size + 2) {
        if (!fill()) return {};
      }
      out.body += buffer_.substr(end + 2, size);
      EXPECT_EQ(buffer_.substr(end + 2 + size, 2), "\r\n");
      buffer_.erase(0, end + 2 + size + 2);
      if (size == 0) return out;
    }
  }
  if (out.header("content-length").empty()) {
    while (fill()) {
    }
    out.body = std::exchange(buffer_, "");
    return out;
  }
  const std::size_t length = std::stoul(out.header("content-length"));
  while (buffer_.size() < length) {
    if (!fill()) return {};
  }
  out.body = buffer_.substr(0, length);
  buffer_.erase(0, length);
  return out;
}

std::optional<std::string> RawClient::rest() {
  while (fill()) {
  }
  if (reset_) return std::nullopt;
  return std::exchange(buffer_, "");
}

bool RawClient::has_bytes_within_ms(int ms) {
  pollfd wait{.fd = fd_, .events = POLLIN, .revents = 0};
  return !buffer_.empty() || ::poll(&wait, 1, ms) > 0;
}

ServerTest::ServerTest()
    : here_(9, clock_, {.slab_bytes = 4096, .max_slabs = 1, .keep_slabs = 1}),
      shards_(2, clock_, {.slab_bytes = 4096, .max_slabs = 1, .keep_slabs = 1}) {
  shards_.start();
}

ServerTest::~ServerTest() {
  stop();
  server_.reset();
  shards_.stop();
}

HttpServerConfig ServerTest::on_loopback() {
  HttpServerConfig config;
  config.address = "127.0.0.1:0";
  return config;
}

void ServerTest::start(HttpServerConfig config) {
  if (config.address == HttpServerConfig().address) config.address = "127.0.0.1:0";
  server_ = std::make_unique<HttpServer>(shards_, service_, std::move(config), metrics_);
  const Result<> started = server_->start();
  ASSERT_TRUE(started) << started.error().detail;
}

void ServerTest::stop(Duration limit) {
  if (server_) run_to_end(here_, server_->stop(limit));
}

Certificate make_certificate(const std::string& common_name) {
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* x509 = X509_new();
  X509_set_version(x509, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
  X509_gmtime_adj(X509_getm_notBefore(x509), -3600);
  X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
  X509_set_pubkey(x509, key);
  X509_NAME* name = X509_get_subject_name(x509);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1, 0);
  X509_set_issuer_name(x509, name);
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, x509, x509, nullptr, nullptr, 0);
  for (const auto& [nid, value] : {std::pair(NID_subject_alt_name, "IP:127.0.0.1,DNS:localhost"),
                                   std::pair(NID_basic_constraints, "critical,CA:TRUE")}) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value);
    X509_add_ext(x509, extension, -1);
    X509_EXTENSION_free(extension);
  }
  X509_sign(x509, key, EVP_sha256());
  const auto text_of = [](BIO* bio) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio, &data);
    std::string text(data, static_cast<std::size_t>(size));
    BIO_free(bio);
    return text;
  };
  BIO* certificate_text = BIO_new(BIO_s_mem());
  PEM_write_bio_X509(certificate_text, x509);
  BIO* key_text = BIO_new(BIO_s_mem());
  PEM_write_bio_PrivateKey(key_text, key, nullptr, nullptr, 0, nullptr, nullptr);
  X509_free(x509);
  EVP_PKEY_free(key);
  return {text_of(certificate_text), text_of(key_text)};
}

void write_certificate(const std::string& folder, const Certificate& certificate) {
  PosixFs fs;
  EXPECT_TRUE(fs.write_file(folder + "/public.crt", certificate.certificate));
  EXPECT_TRUE(fs.write_file(folder + "/private.key", certificate.key));
}

}  // namespace ostraka::net
