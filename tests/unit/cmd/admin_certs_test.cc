#include "cmd/admin_certs.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>

#include "net/peer_tls.h"
#include "runtime/clock.h"

namespace ostraka::cmd {
namespace {

class AdminCertsTest : public ::testing::Test {
 protected:
  AdminCertsTest() {
    std::string pattern = ::testing::TempDir() + "ostraka-certs-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
    ca_ = folder_ + "/ca";
    out_ = folder_ + "/nodes";
  }
  ~AdminCertsTest() override { std::filesystem::remove_all(folder_); }
  Result<std::string> make_ca() { return make_authority_files(fs_, {ca_, "storage.example", 100}, now_); }
  Result<std::string> make_nodes(std::vector<std::string> nodes, unsigned days = 10) {
    return make_node_files(fs_, {ca_, out_, std::move(nodes), days}, now_);
  }
  static mode_t mode_of(const std::string& path) {
    struct stat info{};
    EXPECT_EQ(::stat(path.c_str(), &info), 0) << path;
    return info.st_mode & 0777;
  }
  // Whether the openssl program says so.
  static bool openssl(const std::string& arguments) {
    return ::system(("openssl " + arguments + " > /dev/null 2>&1").c_str()) == 0;
  }
  PosixFs fs_;
  const std::int64_t now_ = SystemClock().unix_ms() / 1000;
  std::string folder_, ca_, out_;
};

TEST_F(AdminCertsTest, MakesWhatOpensslVerifiesAndNodesLoad) {
  const auto told = make_ca();
  ASSERT_TRUE(told) << told.error().detail;
  EXPECT_NE(told->find(ca_ + "/ca.key"), std::string::npos);
  EXPECT_EQ(mode_of(ca_ + "/ca.key"), 0600U);
  const auto nodes = make_nodes({"node1", "10.0.0.2"});
  ASSERT_TRUE(nodes) << nodes.error().detail;
  EXPECT_NE(nodes->find(out_ + "/node1"), std::string::npos);
  EXPECT_NE(nodes->find("--cluster-certs-dir"), std::string::npos);
  for (const std::string node : {"node1", "10.0.0.2"}) {
    const std::string folder = out_ + "/" + node;
    EXPECT_EQ(mode_of(folder + "/node.key"), 0600U);
    const bool is_name = node == "node1";
    for (const std::string purpose : {"sslserver", "sslclient"}) {
      EXPECT_TRUE(openssl("verify -x509_strict -purpose " + purpose + " -CAfile " + folder + "/ca.crt " +
                          (is_name ? "-verify_hostname " : "-verify_ip ") + node + " " + folder +
                          "/node.crt"))
          << node << purpose;
    }
    EXPECT_FALSE(
        openssl("verify -CAfile " + folder + "/ca.crt -verify_hostname node9 " + folder + "/node.crt"));
    EXPECT_TRUE(openssl("x509 -checkend 863000 -noout -in " + folder + "/node.crt"));
    EXPECT_FALSE(openssl("x509 -checkend 865000 -noout -in " + folder + "/node.crt"));
    const auto loaded = net::PeerTls::load(fs_, folder);
    ASSERT_TRUE(loaded) << loaded.error().detail;
    EXPECT_EQ(net::to_uri((*loaded)->self()), "spiffe://storage.example/node/" + node);
  }
}

TEST_F(AdminCertsTest, OverwritesNothing) {
  ASSERT_TRUE(make_ca());
  const std::string before = fs_.read_file(ca_ + "/ca.key", 1U << 20).value();
  EXPECT_TRUE(make_ca().failed_with(Errc::conflict));
  EXPECT_EQ(fs_.read_file(ca_ + "/ca.key", 1U << 20).value(), before);
  ASSERT_TRUE(make_nodes({"node2"}));
  const auto again = make_nodes({"node1", "node2", "node3"});
  ASSERT_TRUE(again.failed_with(Errc::conflict));
  EXPECT_NE(again.error().detail.find("node2/ca.crt"), std::string::npos) << again.error().detail;
  EXPECT_FALSE(fs_.exists(out_ + "/node1").value());  // none rather than some
}

TEST_F(AdminCertsTest, RefusesWhatCannotBe) {
  EXPECT_TRUE(make_nodes({"node1"}).failed_with(Errc::not_found));
  EXPECT_TRUE(make_authority_files(fs_, {ca_, "Not A Domain", 1}, now_).failed_with(Errc::invalid_argument));
  EXPECT_FALSE(fs_.exists(ca_).value());
  ASSERT_TRUE(make_ca());
  for (const std::vector<std::string>& nodes :
       {std::vector<std::string>{"a/b"}, {".."}, {""}, {"::1"}, {"node1", "node1"}}) {
    EXPECT_TRUE(make_nodes(nodes).failed_with(Errc::invalid_argument));
  }
  EXPECT_FALSE(fs_.exists(out_).value());
  ASSERT_TRUE(fs_.write_file(ca_ + "/ca.key", "nonsense"));
  const auto broken = make_nodes({"node1"});
  ASSERT_TRUE(broken.failed_with(Errc::malformed));
  EXPECT_NE(broken.error().detail.find(ca_), std::string::npos) << broken.error().detail;
}

}  // namespace
}  // namespace ostraka::cmd
