#include "net/tls_stream.h"

#include <openssl/err.h>
#include <openssl/x509_vfy.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "net/limits.h"
#include "net/openssl.h"

namespace ostraka::net {

// The socket as OpenSSL sees it. Records that are written together leave in one system call.
struct TlsWire {
  int socket = -1;
  bool gathers = false;                     // records go into `pending` as long as they fit
  std::unique_ptr<std::uint8_t[]> pending;  // kTlsSendBytes; only while it is needed
  std::size_t begin = 0, end = 0;           // of what is in it

  bool empty() const noexcept { return begin == end; }
  // 0: all of it is sent; else the errno.
  int send_pending() noexcept {
    while (!empty()) {
      const ssize_t sent = ::send(socket, pending.get() + begin, end - begin, MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0) return errno;
      begin += static_cast<std::size_t>(sent);
    }
    begin = end = 0;
    return 0;
  }
};

namespace {

// The socket BIO of OpenSSL raises SIGPIPE when the peer is gone; this one does not.
TlsWire& wire_of(BIO* bio) {
  return *static_cast<TlsWire*>(BIO_get_data(bio));
}

int wire_write(BIO* bio, const char* bytes, int count) {
  TlsWire& wire = wire_of(bio);
  BIO_clear_retry_flags(bio);
  const auto size = static_cast<std::size_t>(count);
  if (wire.gathers || !wire.empty()) {
    if (!wire.pending) wire.pending = std::make_unique_for_overwrite<std::uint8_t[]>(kTlsSendBytes);
    if (kTlsSendBytes - wire.end < size) {
      const int error = wire.send_pending();
      if (error == EAGAIN) BIO_set_retry_write(bio);
      if (error != 0) return -1;
    }
    const std::size_t taken = std::min(size, kTlsSendBytes - wire.end);
    std::memcpy(wire.pending.get() + wire.end, bytes, taken);
    wire.end += taken;
    return static_cast<int>(taken);
  }
  const ssize_t sent = ::send(wire.socket, bytes, size, MSG_NOSIGNAL);
  if (sent < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_write(bio);
  return static_cast<int>(sent);
}

int wire_read(BIO* bio, char* out, int count) {
  BIO_clear_retry_flags(bio);
  const ssize_t got = ::recv(wire_of(bio).socket, out, static_cast<std::size_t>(count), 0);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) BIO_set_retry_read(bio);
  if (got == 0) BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
  return static_cast<int>(got);
}

long wire_control(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_EOF) return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0 ? 1 : 0;
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

const BIO_METHOD* wire_method() {
  static const std::unique_ptr<BIO_METHOD, FreeBy<BIO_meth_free>> method = [] {
    BIO_METHOD* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "ostraka socket");
    CHECK(m != nullptr);
    BIO_meth_set_write(m, wire_write);
    BIO_meth_set_read(m, wire_read);
    BIO_meth_set_ctrl(m, wire_control);
    return std::unique_ptr<BIO_METHOD, FreeBy<BIO_meth_free>>(m);
  }();
  return method.get();
}

}  // namespace

TlsStream::TlsStream(std::shared_ptr<SSL_CTX> context, int socket, Check check,
                     std::shared_ptr<SSL_CTX> keeps)
    : wire_(std::make_unique<TlsWire>()),
      keeps_(std::move(keeps)),
      check_(std::move(check)),
      session_(SSL_new(context.get())) {
  wire_->socket = socket;
  BIO* bio = BIO_new(wire_method());
  if (session_ == nullptr || bio == nullptr) {
    BIO_free(bio);
    SSL_free(std::exchange(session_, nullptr));
    return;
  }
  BIO_set_data(bio, wire_.get());
  BIO_set_init(bio, 1);
  SSL_set_bio(session_, bio, bio);  // takes both references
}

TlsStream::~TlsStream() {
  SSL_free(session_);
}

TlsStream::Step TlsStream::failed_or_wants(int outcome) {
  switch (SSL_get_error(session_, outcome)) {
    case SSL_ERROR_WANT_READ:
      return {.want = Want::read};
    case SSL_ERROR_WANT_WRITE:
      return {.want = Want::write};
    case SSL_ERROR_ZERO_RETURN:
      return {};
    case SSL_ERROR_SYSCALL:
      failure_ = "the connection broke";
      ERR_clear_error();
      return {.failed = true};
    default:
      failure_ = openssl_error();
      return {.failed = true};
  }
}

TlsStream::Step TlsStream::handshake() {
  ERR_clear_error();
  const int outcome = SSL_do_handshake(session_);
  if (outcome != 1) {
    Step step = failed_or_wants(outcome);
    step.failed = step.failed || step.want == Want::nothing;  // ended in the middle
    const long verdict = SSL_get_verify_result(session_);
    if (!failure_.empty() && verdict != X509_V_OK)  // expired, another authority, ...
      failure_ += std::string(": ") + X509_verify_cert_error_string(verdict);
    return step;
  }
  if (!check_) return {};
  Result<std::string> peer = check_(session_);
  if (!peer) {
    failure_ = peer.error().detail;
    return {.failed = true};
  }
  peer_ = std::move(*peer);
  return {};
}

TlsStream::Step TlsStream::read(MutableByteSpan out) {
  ERR_clear_error();
  std::size_t have = 0;
  while (have < out.size()) {  // a record at a time
    std::size_t got = 0;
    const int outcome = SSL_read_ex(session_, out.data() + have, out.size() - have, &got);
    if (outcome == 1) {
      have += got;
      continue;
    }
    if (have > 0) break;  // what is wrong will show again
    return failed_or_wants(outcome);
  }
  return {.bytes = have};
}

TlsStream::Step TlsStream::write_record(const std::uint8_t* bytes, std::size_t count) {
  std::size_t wrote = 0;
  const int outcome = SSL_write_ex(session_, bytes, count, &wrote);
  if (outcome == 1) return {.bytes = wrote};
  Step step = failed_or_wants(outcome);
  step.failed = step.failed || step.want == Want::nothing;
  return step;
}

TlsStream::Step TlsStream::write(std::span<const iovec> parts) {
  ERR_clear_error();
  std::size_t total = 0;
  for (const iovec& part : parts) total += part.iov_len;
  wire_->gathers = total > kTlsRecordBytes;
  std::size_t done = 0;
  std::size_t skip = 0;  // of parts[0]
  while (!parts.empty()) {
    const auto* bytes = static_cast<const std::uint8_t*>(parts[0].iov_base) + skip;
    std::size_t count = parts[0].iov_len - skip;
    if (count < kTlsRecordBytes && parts.size() > 1) {
      if (!staging_) staging_ = std::make_unique_for_overwrite<std::uint8_t[]>(kTlsRecordBytes);
      std::memcpy(staging_.get(), bytes, count);
      for (const iovec& part : parts.subspan(1)) {
        const std::size_t more = std::min(part.iov_len, kTlsRecordBytes - count);
        if (more > 0) std::memcpy(staging_.get() + count, part.iov_base, more);
        count += more;
        if (count == kTlsRecordBytes) break;
      }
      bytes = staging_.get();
    }
    if (count == 0) break;
    const Step step = write_record(bytes, count);
    if (step.bytes == 0) {
      if (done == 0) return step;
      break;  // what is wrong will show again
    }
    done += step.bytes;
    skip += step.bytes;
    while (!parts.empty() && skip >= parts[0].iov_len) {
      skip -= parts[0].iov_len;
      parts = parts.subspan(1);
    }
  }
  return {.bytes = done};
}

TlsStream::Step TlsStream::flush() {
  wire_->gathers = false;
  const int error = wire_->send_pending();
  if (error == EAGAIN) return {.want = Want::write};
  wire_->pending.reset();
  if (error == 0) return {};
  failure_ = "the connection broke";
  return {.failed = true};
}

void TlsStream::close_notify() {
  if (!failure_.empty()) return;
  ERR_clear_error();
  SSL_shutdown(session_);
  ERR_clear_error();
}

}  // namespace ostraka::net
