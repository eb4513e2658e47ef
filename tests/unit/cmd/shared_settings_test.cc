#include "cmd/shared_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace ostraka::cmd {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using Json = nlohmann::json;

ServerConfig config() {
  ServerConfig out;
  out.region = "eu-1";
  out.domain = "s3.example";
  out.root_user = "root";
  out.root_password = "a password";
  return out;
}

class SharedSettingsTest : public ::testing::Test {
 protected:
  Json settings(const ServerConfig& of, unsigned reduced_parity = 1) const {
    return shared_settings(of, reduced_parity, deployment_);
  }
  void join(const std::string& name, std::int64_t since_ms, const Json& settings) {
    control::Member member;
    member.name = name;
    member.since_ms = since_ms;
    member.facts = facts_of(settings);
    members_.push_back(std::make_shared<const control::Member>(std::move(member)));
  }
  Result<> check(const std::string& self, const Json& mine) const {
    return check_shared_settings(self, mine, members_);
  }

  const DeploymentId deployment_{};
  std::vector<control::MemberPtr> members_;
};

TEST_F(SharedSettingsTest, AloneOrAlikeAllIsWell) {
  const Json mine = settings(config());
  EXPECT_TRUE(check("n1", mine));
  join("n1", 5, mine);
  join("n2", 1, mine);
  EXPECT_TRUE(check("n1", mine));
}

TEST_F(SharedSettingsTest, EachDifferenceIsNamed) {
  ServerConfig other = config();
  other.region = "eu-2";
  join("n2", 1, settings(config()));
  const Result<> region = check("n1", settings(other));
  ASSERT_TRUE(region.failed_with(Errc::unavailable)) << "it is waited for";
  EXPECT_THAT(region.error().detail, HasSubstr("setting region: n2 has \"eu-1\", and this node \"eu-2\""));
  other = config();
  other.domain = "";
  EXPECT_THAT(check("n1", settings(other)).error().detail, HasSubstr("setting domain: n2"));
  EXPECT_THAT(check("n1", settings(config(), 2)).error().detail, HasSubstr("setting storage.reduced_parity"));
}

TEST_F(SharedSettingsTest, TheCredentialIsComparedAndNotTold) {
  const Json theirs = settings(config());
  join("n2", 1, theirs);
  ServerConfig other = config();
  other.root_password = "b password";
  const Result<> password = check("n1", settings(other));
  ASSERT_FALSE(password);
  EXPECT_THAT(password.error().detail, HasSubstr("n2 has another root credential"));
  EXPECT_THAT(password.error().detail, Not(HasSubstr("b password")));
  EXPECT_THAT(facts_of(theirs), Not(HasSubstr("a password")));
  EXPECT_EQ(theirs["root credential"].get<std::string>().size(), 4U) << "too little to try passwords on";
  other = config();
  other.root_user = "admin";
  EXPECT_FALSE(check("n1", settings(other)));
  EXPECT_NE(settings(config()), shared_settings(config(), 1, DeploymentId{{{7}}})) << "salted";
}

// One that was told otherwise does not keep the others from starting, and a change may go from node to node.
TEST_F(SharedSettingsTest, MostNodesAreRight) {
  ServerConfig changed = config();
  changed.root_password = "the next one";
  const Json before = settings(config()), after = settings(changed);
  join("n1", 50, after);
  join("n2", 2, before);
  join("n3", 3, before);
  EXPECT_TRUE(check("n2", before));
  EXPECT_FALSE(check("n1", after));
  join("n4", 60, after);
  EXPECT_FALSE(check("n4", after)) << "as many, and the others were first";
  EXPECT_TRUE(check("n2", before));
  join("n5", 70, after);
  EXPECT_TRUE(check("n1", after));
  EXPECT_TRUE(check("n5", after));
}

TEST_F(SharedSettingsTest, AnotherVersionMayKnowOtherSettings) {
  const Json mine = settings(config());
  Json newer = mine;
  newer["more"] = "unknown here";
  newer.erase("domain");
  join("n2", 1, newer);
  control::Member oldest;
  oldest.name = "n3";
  oldest.facts = R"({"version":"1"})";
  members_.push_back(std::make_shared<const control::Member>(oldest));
  oldest.name = "n4";
  oldest.facts = "nonsense";
  members_.push_back(std::make_shared<const control::Member>(oldest));
  EXPECT_TRUE(check("n1", mine));
}

}  // namespace
}  // namespace ostraka::cmd
