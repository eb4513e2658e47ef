// Reads and runs the conversations of cases/*.txt; README.md says what they look like.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tests/unit/s3api/s3_bench.h"

namespace ostraka::s3api {

struct Exchange {
  int line = 0;  // of its request
  TestRequest request;
  bool wants_md5 = false;
  unsigned status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // expected; "*" for any value
  std::vector<std::string> absent_headers;
  std::vector<std::string> body;      // as in the file
  std::vector<std::string> captures;  // element names
};

struct Conversation {
  std::string name;
  int line = 0;
  std::vector<Exchange> exchanges;
};

// Failures of form are reported with ADD_FAILURE.
std::vector<Conversation> read_case_file(const std::string& path);
void run_conversation(const std::string& path, const Conversation& conversation);

}  // namespace ostraka::s3api
