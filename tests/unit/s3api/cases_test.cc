// The conversations of cases/*.txt, each file a test.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/unit/s3api/case_file.h"

namespace ostraka::s3api {
namespace {

std::string cases_folder() {
  return std::string(OSTRAKA_SOURCE_DIR) + "/tests/unit/s3api/cases";
}

std::vector<std::string> case_names() {
  std::vector<std::string> out;
  for (const auto& entry : std::filesystem::directory_iterator(cases_folder()))
    out.push_back(entry.path().stem().string());
  std::sort(out.begin(), out.end());
  return out;
}

class Cases : public testing::TestWithParam<std::string> {};

TEST_P(Cases, Run) {
  const std::string path = cases_folder() + "/" + GetParam() + ".txt";
  const auto conversations = read_case_file(path);
  ASSERT_FALSE(conversations.empty());
  for (const Conversation& conversation : conversations) {
    EXPECT_FALSE(conversation.exchanges.empty()) << path << ":" << conversation.line;
    run_conversation(path, conversation);
  }
}

INSTANTIATE_TEST_SUITE_P(Files, Cases, testing::ValuesIn(case_names()),
                         [](const testing::TestParamInfo<std::string>& name) { return name.param; });

}  // namespace
}  // namespace ostraka::s3api
