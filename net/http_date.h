// The value of the Date field, formatted once a second. Belongs to one shard.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/encoding.h"
#include "runtime/clock.h"

namespace ostraka::net {

class HttpDate {
 public:
  explicit HttpDate(Clock& clock) : clock_(clock) {}
  std::string_view now() {  // valid until the next call
    const std::int64_t unix_ms = clock_.unix_ms();
    if (unix_ms / 1000 != second_) {
      second_ = unix_ms / 1000;
      text_ = http_date(unix_ms);
    }
    return text_;
  }

 private:
  Clock& clock_;
  std::int64_t second_ = -1;
  std::string text_;
};

}  // namespace ostraka::net
