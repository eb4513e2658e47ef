// The small input buffer of a connection: heads are parsed in it, and what a read brings beyond its target
// waits here.
#pragma once

#include <cstring>
#include <memory>

#include "base/bytes.h"
#include "base/check.h"
#include "net/limits.h"

namespace ostraka::net {

class InputBuffer {
 public:
  ByteSpan filled() const noexcept { return {bytes_.get() + begin_, end_ - begin_}; }
  bool empty() const noexcept { return begin_ == end_; }
  // Free space behind what is filled; everything is moved to the front first when there is little.
  MutableByteSpan room() noexcept {
    if (begin_ == end_) begin_ = end_ = 0;
    if (kInputBytes - end_ < kInputBytes / 2 && begin_ > 0) {
      std::memmove(bytes_.get(), bytes_.get() + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
    }
    return {bytes_.get() + end_, kInputBytes - end_};
  }
  void filled_more(std::size_t bytes) noexcept {
    CHECK(bytes <= kInputBytes - end_);
    end_ += bytes;
  }
  void consume(std::size_t bytes) noexcept {
    CHECK(bytes <= end_ - begin_);
    begin_ += bytes;
  }

 private:
  // Not cleared: pages that no head or body reaches are never touched.
  std::unique_ptr<std::uint8_t[]> bytes_ = std::make_unique_for_overwrite<std::uint8_t[]>(kInputBytes);
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
};

}  // namespace ostraka::net
