// One line for each request, safe to grep: nothing that a client sends can end a field or the line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace ostraka::s3api {

struct AccessRecord {
  std::string_view request_id{}, remote{}, access_key{}, operation{}, bucket{}, key{}, method{}, error{},
      user_agent{};
  unsigned status = 0;
  std::uint64_t bytes_in = 0, bytes_out = 0, us = 0;
};

std::string access_line(const AccessRecord& record);

}  // namespace ostraka::s3api
