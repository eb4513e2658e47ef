// A connected TCP socket, plain or with TLS, as the server and the client use it; and the watch that ends
// late waits.
#pragma once

#include <sys/uio.h>

#include <boost/asio/ip/tcp.hpp>
#include <boost/intrusive/list.hpp>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "runtime/clock.h"
#include "runtime/shard.h"
#include "runtime/task.h"

namespace ostraka::net {

class TlsStream;

using Socket = boost::asio::basic_stream_socket<boost::asio::ip::tcp, IoExecutor>;

// Owns a file descriptor of a socket until somebody takes it.
class SocketHandle {
 public:
  explicit SocketHandle(int fd) noexcept : fd_(fd) {}
  SocketHandle(SocketHandle&& other) noexcept : fd_(other.take()) {}
  SocketHandle& operator=(SocketHandle&&) = delete;
  ~SocketHandle();
  int get() const noexcept { return fd_; }
  int take() noexcept { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

class StreamWatch;

// Belongs to one shard. One operation at a time. Errors of all operations: closed (the peer or we ended it),
// deadline.
class Stream
    : public boost::intrusive::list_base_hook<boost::intrusive::link_mode<boost::intrusive::auto_unlink>> {
 public:
  explicit Stream(StreamWatch& watch);
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream();

  // Takes over a connected socket. is_v6: its address family.
  Result<> adopt(SocketHandle socket, bool is_v6);
  // Error besides: unavailable (the host refuses it: nobody listens there).
  Task<Result<>> connect(boost::asio::ip::tcp::endpoint to, TimePoint deadline);
  int native_handle() { return socket_.native_handle(); }
  // From here on, all bytes go through TLS. Shakes hands.
  Task<Result<>> start_tls(std::unique_ptr<TlsStream> tls, TimePoint deadline);

  // At least one byte, into `first` and then `second` (may be empty); 0: the peer has ended its side.
  Task<Result<std::size_t>> read(MutableByteSpan first, MutableByteSpan second, TimePoint deadline);
  // Waits for the first byte without taking it; nullopt: the peer has ended. Before TLS only.
  Task<Result<std::optional<std::uint8_t>>> peek(TimePoint deadline);
  // All of it, in as few calls as the kernel allows. Fails when the peer takes nothing for `stall`, and at
  // the deadline. Changes the iovecs.
  Task<Result<>> write(std::span<iovec> parts, Duration stall, TimePoint deadline = kNoDeadline);

  // Whether an idle connection still can be used: neither ended nor with bytes that nobody asked for.
  bool is_quiet();
  void shutdown_send();  // tells the peer that no more will come
  void close();          // any wait ends with closed
  void abort();          // as close, and the peer sees a reset rather than an orderly end
  bool is_tls() const noexcept { return tls_ != nullptr; }
  const std::string& peer() const noexcept;  // who it is by its certificate; "" for most
  std::uint64_t bytes_in() const noexcept { return bytes_in_; }
  std::uint64_t bytes_out() const noexcept { return bytes_out_; }

 private:
  friend class StreamWatch;
  enum class Want : std::uint8_t { nothing, read, write };
  struct Step {  // what one attempt that does not block came to
    Want want = Want::nothing;
    std::size_t bytes = 0;
    bool failed = false;
  };
  Step try_read(MutableByteSpan first, MutableByteSpan second);
  Step try_write(std::span<iovec> parts);
  std::string breakage() const;  // of a step that failed
  Task<Result<>> wait(Want want, TimePoint deadline);
  bool expire(TimePoint now);  // whether it waits for a deadline to come

  StreamWatch& watch_;
  Socket socket_;
  std::unique_ptr<TlsStream> tls_;
  TimePoint waiting_until_ = kNoDeadline;
  bool waiting_ = false;
  bool expired_ = false;
  bool closed_ = false;
  bool drained_ = false;  // the last read took all there was, so the next one waits before it tries
  std::uint64_t bytes_in_ = 0;
  std::uint64_t bytes_out_ = 0;
};

// Ends the waits of the streams of one shard that are past their deadlines, by one coarse timer instead of
// one a read. Belongs to the shard; its streams go first.
class StreamWatch {
 public:
  // A wait ends at most `granularity` after its deadline.
  StreamWatch(Shard& shard, Duration granularity);
  StreamWatch(const StreamWatch&) = delete;
  StreamWatch& operator=(const StreamWatch&) = delete;
  Shard& shard() noexcept { return shard_; }
  // Lets the timer go, on the shard's thread, so that the watch may be destroyed on another.
  void stop() noexcept { timer_.reset(); }
  void close_all();  // every stream: all waits end with closed

 private:
  friend class Stream;
  void add(Stream& stream) { streams_.push_back(stream); }
  void arm();  // the timer runs only while a stream waits
  void sweep();

  Shard& shard_;
  const Duration granularity_;
  boost::intrusive::list<Stream, boost::intrusive::constant_time_size<false>> streams_;
  std::unique_ptr<Clock::Timer> timer_;
};

// Removes the first `bytes` from the iovecs; gives what is left.
std::span<iovec> drop_front(std::span<iovec> parts, std::size_t bytes) noexcept;

}  // namespace ostraka::net
