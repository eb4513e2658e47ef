// Result<T>: a value or an Error. Nothing in this project throws across a function boundary; an exception
// that a library throws is turned into an Error where it is called.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <tl/expected.hpp>
#include <utility>

namespace ostraka {

// A code exists only where some code reacts to it; s3api/error_table maps the ones a client can see to S3
// errors.
enum class Errc : std::uint8_t {
  // outcome of work on drives and sets
  not_found,            // nothing there, and that is certain
  corrupt,              // bytes failed their checksum or do not decode
  io,                   // the operating system refused
  no_space,             // the drive's reserve is reached
  unavailable,          // fewer answers than the quorum needs; try again later
  in_doubt,             // the write may or may not take effect; never retried by us
  refused,              // a drive declined: fenced, older than what it holds, or another predecessor
  stale_epoch,          // the caller's epoch is older than the drive's
  deadline,             // the deadline passed
  closed,               // the peer went away, or the process is shutting down
  wrong_drive,          // the folder belongs to another deployment or slot, or is locked
  unsupported_version,  // written by a newer release
  overloaded,           // a limit on requests, memory or queue length is reached
  // what a caller asked for cannot be done
  invalid_argument,
  malformed,              // bytes from outside that do not parse
  too_large,              // over a limit of limits.h
  incomplete_body,        // fewer bytes than announced
  bad_digest,             // a checksum or digest that the client sent does not match
  invalid_digest,         // a checksum or digest that the client sent is not well formed
  payload_hash_mismatch,  // x-amz-content-sha256
  access_denied,
  signature_mismatch,
  precondition_failed,
  not_modified,
  conflict,  // a concurrent change won
  no_such_bucket,
  no_such_key,
  no_such_upload,
  no_such_version,
  bucket_exists,
  bucket_not_empty,
  invalid_part,
  invalid_part_order,
  part_too_small,
  invalid_range,
  method_not_allowed,  // for example reading a delete marker
  not_implemented,
  internal,
};

std::string_view to_string(Errc code) noexcept;

struct Error {
  Errc code = Errc::internal;
  std::string detail;  // for the log and for people; never parsed
};

template <class T = void>
class [[nodiscard]] Result : public tl::expected<T, Error> {
 public:
  using Base = tl::expected<T, Error>;
  using Base::Base;
  Result(Base base)
      : Base(std::move(base)) {
  }  // NOLINT(google-explicit-constructor): the monadic calls of Base return Base
  Errc code() const noexcept { return this->error().code; }
  bool failed_with(Errc code) const noexcept { return !this->has_value() && this->error().code == code; }
};

inline tl::unexpected<Error> fail(Errc code, std::string detail = {}) {
  return tl::unexpected<Error>(Error{code, std::move(detail)});
}

}  // namespace ostraka

#define OSTRAKA_CONCAT_(a, b) a##b
#define OSTRAKA_CONCAT(a, b) OSTRAKA_CONCAT_(a, b)
#define OSTRAKA_TRY_(ret, tmp, decl, ...)                                   \
  auto tmp = __VA_ARGS__;                                                   \
  if (!tmp) ret ::tl::unexpected<::ostraka::Error>(std::move(tmp).error()); \
  auto decl = std::move(*tmp)
#define OSTRAKA_TRY_VOID_(ret, tmp, ...) \
  if (auto tmp = __VA_ARGS__; !tmp) ret ::tl::unexpected<::ostraka::Error>(std::move(tmp).error())

// TRY(name, expr): declares `name` with the value of expr, or returns its error. The CO_ forms are for
// coroutines; they are plain statements because g++ 12 miscompiles statement expressions and braced
// temporaries around co_await.
#define TRY(decl, ...) OSTRAKA_TRY_(return, OSTRAKA_CONCAT(try_, __LINE__), decl, __VA_ARGS__)
#define CO_TRY(decl, ...) OSTRAKA_TRY_(co_return, OSTRAKA_CONCAT(try_, __LINE__), decl, __VA_ARGS__)
#define TRY_VOID(...) OSTRAKA_TRY_VOID_(return, OSTRAKA_CONCAT(try_, __LINE__), __VA_ARGS__)
// No if-initializer around co_await: a plain declaration first.
#define CO_TRY_VOID(...)                             \
  auto OSTRAKA_CONCAT(try_, __LINE__) = __VA_ARGS__; \
  if (!OSTRAKA_CONCAT(try_, __LINE__))               \
  co_return ::tl::unexpected<::ostraka::Error>(std::move(OSTRAKA_CONCAT(try_, __LINE__)).error())
