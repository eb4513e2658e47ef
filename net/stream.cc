#include "net/stream.h"

#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <cerrno>
#include <climits>

#include "base/check.h"
#include "net/tls.h"

namespace ostraka::net {
namespace {

constexpr auto kAwaitTuple = boost::asio::as_tuple(kAwait);
constexpr std::size_t kMaxIovecs = IOV_MAX;

bool would_block(int error) noexcept {
  return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

tl::unexpected<Error> not_connected(int why) {
  return fail(why == ECONNREFUSED ? Errc::unavailable : Errc::closed,
              boost::system::error_code(why, boost::system::system_category()).message());
}

}  // namespace

SocketHandle::~SocketHandle() {
  if (fd_ >= 0) ::close(fd_);
}

std::span<iovec> drop_front(std::span<iovec> parts, std::size_t bytes) noexcept {
  std::size_t i = 0;
  while (i < parts.size() && bytes >= parts[i].iov_len) {
    bytes -= parts[i].iov_len;
    ++i;
  }
  parts = parts.subspan(i);
  if (!parts.empty()) {
    parts[0].iov_base = static_cast<char*>(parts[0].iov_base) + bytes;
    parts[0].iov_len -= bytes;
  }
  return parts;
}

Stream::Stream(StreamWatch& watch) : watch_(watch), socket_(watch.shard().executor()) {
  watch_.add(*this);
}

Stream::~Stream() = default;

Result<> Stream::adopt(SocketHandle socket, bool is_v6) {
  boost::system::error_code error;
  const auto protocol = is_v6 ? boost::asio::ip::tcp::v6() : boost::asio::ip::tcp::v4();
  socket_.assign(protocol, socket.get(), error);
  if (error) return fail(Errc::closed, error.message());
  socket.take();
  socket_.non_blocking(true, error);
  // Without it, Nagle's algorithm and delayed acknowledgements together hold answers back for 40 ms.
  if (!error) socket_.set_option(boost::asio::ip::tcp::no_delay(true), error);
  if (error) return fail(Errc::closed, error.message());
  return {};
}

Task<Result<>> Stream::connect(boost::asio::ip::tcp::endpoint to, TimePoint deadline) {
  boost::system::error_code error;
  socket_.open(to.protocol(), error);
  if (!error) socket_.non_blocking(true, error);
  if (!error) socket_.set_option(boost::asio::ip::tcp::no_delay(true), error);
  if (error) co_return fail(Errc::closed, error.message());
  if (::connect(socket_.native_handle(), to.data(), static_cast<socklen_t>(to.size())) == 0)
    co_return Result<>();
  if (errno != EINPROGRESS && errno != EINTR) co_return not_connected(errno);
  CO_TRY_VOID(co_await wait(Want::write, deadline));
  int outcome = 0;
  socklen_t size = sizeof outcome;
  ::getsockopt(socket_.native_handle(), SOL_SOCKET, SO_ERROR, &outcome, &size);
  if (outcome != 0) co_return not_connected(outcome);
  co_return Result<>();
}

Task<Result<>> Stream::start_tls(std::unique_ptr<TlsStream> tls, TimePoint deadline) {
  tls_ = std::move(tls);
  for (;;) {
    const TlsStream::Step step = tls_->handshake();
    if (step.failed) co_return fail(Errc::closed, "TLS handshake failed: " + tls_->failure());
    if (step.want == TlsStream::Want::nothing) co_return Result<>();
    const Want want = step.want == TlsStream::Want::read ? Want::read : Want::write;
    CO_TRY_VOID(co_await wait(want, deadline));
  }
}

Stream::Step Stream::try_read(MutableByteSpan first, MutableByteSpan second) {
  if (tls_) {
    const TlsStream::Step step = tls_->read(first);
    return {static_cast<Want>(step.want), step.bytes, step.failed};
  }
  std::array<iovec, 2> parts{iovec{first.data(), first.size()}, iovec{second.data(), second.size()}};
  const ssize_t got = ::readv(socket_.native_handle(), parts.data(), second.empty() ? 1 : 2);
  if (got < 0) return would_block(errno) ? Step{.want = Want::read} : Step{.failed = true};
  const auto bytes = static_cast<std::size_t>(got);
  drained_ = bytes < first.size() + second.size();
  return {.bytes = bytes};
}

Stream::Step Stream::try_write(std::span<iovec> parts) {
  if (tls_) {
    const TlsStream::Step step = parts.empty() ? tls_->flush() : tls_->write(parts);
    return {static_cast<Want>(step.want), step.bytes, step.failed};
  }
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = std::min(parts.size(), kMaxIovecs);
  const ssize_t sent = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL);
  if (sent < 0) return would_block(errno) ? Step{.want = Want::write} : Step{.failed = true};
  return {.bytes = static_cast<std::size_t>(sent)};
}

Task<Result<std::size_t>> Stream::read(MutableByteSpan first, MutableByteSpan second, TimePoint deadline) {
  for (;;) {
    if (closed_) co_return fail(Errc::closed);
    if (std::exchange(drained_, false)) {
      CO_TRY_VOID(co_await wait(Want::read, deadline));
      if (closed_) co_return fail(Errc::closed);
    }
    const Step step = try_read(first, second);
    if (step.failed) co_return fail(Errc::closed, breakage());
    if (step.want == Want::nothing) {
      bytes_in_ += step.bytes;
      co_return step.bytes;
    }
    CO_TRY_VOID(co_await wait(step.want, deadline));
  }
}

Task<Result<std::optional<std::uint8_t>>> Stream::peek(TimePoint deadline) {
  for (;;) {
    if (closed_) co_return fail(Errc::closed);
    std::uint8_t byte = 0;
    const ssize_t got = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    if (got == 1) co_return std::optional<std::uint8_t>(byte);
    if (got == 0) co_return std::nullopt;
    if (!would_block(errno)) co_return fail(Errc::closed, "the connection broke");
    CO_TRY_VOID(co_await wait(Want::read, deadline));
  }
}

Task<Result<>> Stream::write(std::span<iovec> parts, Duration stall, TimePoint deadline) {
  parts = drop_front(parts, 0);
  for (;;) {
    if (closed_) co_return fail(Errc::closed);
    if (parts.empty() && !tls_) co_return Result<>();
    const Step step = try_write(parts);
    if (step.failed) co_return fail(Errc::closed, breakage());
    if (parts.empty() && step.want == Want::nothing) co_return Result<>();
    if (step.want == Want::nothing) {
      bytes_out_ += step.bytes;
      parts = drop_front(parts, step.bytes);
      continue;
    }
    const TimePoint stalled = deadline_after(watch_.shard().clock().now(), stall);
    CO_TRY_VOID(co_await wait(step.want, std::min(stalled, deadline)));
  }
}

std::string Stream::breakage() const {
  return tls_ && !tls_->failure().empty() ? tls_->failure() : "the connection broke";
}

const std::string& Stream::peer() const noexcept {
  static const std::string nobody;
  return tls_ ? tls_->peer() : nobody;
}

Task<Result<>> Stream::wait(Want want, TimePoint deadline) {
  CHECK(!waiting_);
  if (closed_) co_return fail(Errc::closed);
  waiting_ = true;
  expired_ = false;
  waiting_until_ = deadline;
  if (deadline != kNoDeadline) watch_.arm();
  const auto kind = want == Want::read ? Socket::wait_read : Socket::wait_write;
  const auto outcome = co_await socket_.async_wait(kind, kAwaitTuple);
  waiting_ = false;
  if (closed_) co_return fail(Errc::closed);
  if (expired_) co_return fail(Errc::deadline, "the peer is too slow");
  if (std::get<0>(outcome)) co_return fail(Errc::closed, std::get<0>(outcome).message());
  co_return Result<>();
}

bool Stream::expire(TimePoint now) {
  if (!waiting_ || expired_ || waiting_until_ == kNoDeadline) return false;
  if (waiting_until_ > now) return true;
  expired_ = true;
  boost::system::error_code ignored;
  socket_.cancel(ignored);
  return false;
}

bool Stream::is_quiet() {
  if (closed_ || !socket_.is_open()) return false;
  std::uint8_t byte = 0;
  const ssize_t got = ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  return got < 0 && would_block(errno);
}

void Stream::shutdown_send() {
  if (tls_) tls_->close_notify();
  boost::system::error_code ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
}

void Stream::close() {
  if (std::exchange(closed_, true)) return;
  boost::system::error_code ignored;
  socket_.close(ignored);
}

void Stream::abort() {
  boost::system::error_code ignored;
  if (!closed_) socket_.set_option(boost::asio::socket_base::linger(true, 0), ignored);
  close();
}

StreamWatch::StreamWatch(Shard& shard, Duration granularity) : shard_(shard), granularity_(granularity) {}

void StreamWatch::close_all() {
  for (Stream& stream : streams_) stream.close();  // ends waits by posting: nobody leaves here
}

void StreamWatch::arm() {
  if (timer_) return;
  const TimePoint next = shard_.clock().now() + granularity_;
  timer_ = shard_.clock().arm(shard_.executor(), next, [this] { sweep(); });
}

void StreamWatch::sweep() {
  timer_.reset();
  const TimePoint now = shard_.clock().now();
  bool more = false;
  for (Stream& stream : streams_)
    more = stream.expire(now) || more;  // ends waits by posting: nobody leaves here
  if (more) arm();
}

}  // namespace ostraka::net
