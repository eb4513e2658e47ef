// What is said of an answer that is no answer of etcd's gateway.
#include "cluster/etcd_wire.h"

#include <gtest/gtest.h>

namespace ostraka::cluster {
namespace {

TEST(EtcdFailureTest, SaysWhatEtcdSays) {
  const EtcdFailure failure = parse_etcd_failure(R"({"error":"etcdserver: permission denied","code":7})");
  EXPECT_EQ(failure.message, "etcdserver: permission denied");
  EXPECT_EQ(failure.code, 7);
}

TEST(EtcdFailureTest, SaysWhatElseWasAnsweredAsFarAsItCanBeRead) {
  const EtcdFailure text = parse_etcd_failure("CommonName of client will be ignored\nand more\n");
  EXPECT_EQ(text.message, "an answer that is not etcd's: CommonName of client will be ignored");
  EXPECT_EQ(parse_etcd_failure("\x1b[31mred").message, "an answer that is not etcd's");
  EXPECT_EQ(parse_etcd_failure("").message, "an answer that is not etcd's");
  EXPECT_EQ(parse_etcd_failure("{}").message, "an answer that is not etcd's");
  EXPECT_LT(parse_etcd_failure(std::string(100'000, 'x')).message.size(), 300U);
}

}  // namespace
}  // namespace ostraka::cluster
