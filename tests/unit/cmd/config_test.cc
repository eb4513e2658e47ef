#include "cmd/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "runtime/random.h"

namespace ostraka::cmd {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

class ConfigTest : public ::testing::Test {
 protected:
  void SetUp() override {
    SystemRandom random;
    folder_ = std::filesystem::temp_directory_path() / ("ostraka-config-" + to_string(make_uuid(random)));
    std::filesystem::create_directories(folder_);
    sources_.drives = {"/d{1...6}"};
    sources_.variable = [this](const std::string& name) -> std::optional<std::string> {
      const auto found = environment_.find(name);
      return found == environment_.end() ? std::nullopt : std::optional(found->second);
    };
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void file(const std::string& content) {
    sources_.file = folder_ / "ostraka.toml";
    std::ofstream(sources_.file) << content;
  }
  ServerConfig load() {
    auto config = load_config(fs_, sources_);
    EXPECT_TRUE(config.has_value()) << (config ? "" : config.error().detail);
    return config.value_or(ServerConfig{});
  }
  std::string refusal() {
    const auto config = load_config(fs_, sources_);
    EXPECT_TRUE(config.failed_with(Errc::invalid_argument));
    return config ? "" : config.error().detail;
  }

  PosixFs fs_;
  std::filesystem::path folder_;
  std::map<std::string, std::string> environment_{{"OSTRAKA_ROOT_USER", "admin"},
                                                  {"OSTRAKA_ROOT_PASSWORD", "a-long-secret"}};
  ConfigSources sources_;
};

TEST_F(ConfigTest, DefaultsListenOnLoopback) {
  const ServerConfig config = load();
  EXPECT_EQ(to_string(config.address), "127.0.0.1:9000");
  EXPECT_EQ(to_string(config.console_address), "127.0.0.1:9001");
  EXPECT_EQ(config.drives.size(), 6U);
  EXPECT_FALSE(config.erasure_set.has_value());
  EXPECT_EQ(config.root_user, "admin");
}

TEST_F(ConfigTest, FlagsBeatVariablesBeatTheFile) {
  file(
      "region = 'from-file'\nthreads = 3\ndrives = ['/x{1...2}']\n[api]\nrequests_max = 7\nidle_timeout = "
      "'5s'\n");
  environment_["OSTRAKA_REGION"] = "from-env";
  environment_["OSTRAKA_API_REQUESTS_MAX"] = "8";
  sources_.flags["region"] = "from-flag";
  const ServerConfig config = load();
  EXPECT_EQ(config.region, "from-flag");
  EXPECT_EQ(config.requests_max, 8U);
  EXPECT_EQ(config.threads, 3U);
  EXPECT_EQ(config.idle_timeout, std::chrono::seconds(5));
  EXPECT_EQ(config.drives.size(), 6U);
  sources_.drives.clear();
  EXPECT_THAT(load().drives, ElementsAre("/x1", "/x2"));
  environment_["OSTRAKA_DRIVES"] = "/y1 /z{1...2}";
  EXPECT_THAT(load().drives, ElementsAre("/y1", "/z1", "/z2"));
}

TEST_F(ConfigTest, ValuesAreRead) {
  sources_.flags = {
      {"address", "[::1]:0"},          {"console_address", ":7001"}, {"erasure_set", "3+2"},
      {"domain", "s3.example.com"},    {"tls.certs_dir", "/etc/c"},  {"api.request_timeout", "1500ms"},
      {"memory.buffers", "1GiB"},      {"log.level", "debug"},       {"log.access", "off"},
      {"storage.reduced_parity", "1"}, {"api.header_timeout", "2m"}, {"memory.index", "16777216"}};
  const ServerConfig config = load();
  EXPECT_EQ(to_string(config.address), "[::1]:0");
  EXPECT_EQ(to_string(config.console_address), "0.0.0.0:7001");
  EXPECT_EQ(config.erasure_set->data_shards, 3);
  EXPECT_EQ(config.erasure_set->parity_shards, 2);
  EXPECT_EQ(config.domain, "s3.example.com");
  EXPECT_EQ(config.tls_certs_dir, "/etc/c");
  EXPECT_EQ(config.request_timeout, std::chrono::milliseconds(1500));
  EXPECT_EQ(config.header_timeout, std::chrono::minutes(2));
  EXPECT_EQ(config.buffer_memory_bytes, 1ULL << 30);
  EXPECT_EQ(config.index_memory_bytes, 16ULL << 20);
  EXPECT_EQ(config.log_level, log::Level::debug);
  EXPECT_FALSE(config.access_log);
  EXPECT_EQ(config.reduced_parity, 1U);
}

TEST_F(ConfigTest, TheScannerHasAPeriodOrNone) {
  EXPECT_EQ(load().scanner_period, std::chrono::hours(14 * 24));
  sources_.flags = {{"scanner.period", "36h"}};
  EXPECT_EQ(load().scanner_period, std::chrono::hours(36));
  sources_.flags = {{"scanner.period", "30d"}};
  EXPECT_EQ(load().scanner_period, std::chrono::hours(30 * 24));
  for (const char* off : {"off", "0", "false"}) {
    sources_.flags = {{"scanner.period", off}};
    EXPECT_EQ(load().scanner_period, std::chrono::hours(0)) << off;
  }
}

TEST_F(ConfigTest, RefusalsNameSettingValueOriginAndRange) {
  environment_["OSTRAKA_API_REQUESTS_MAX"] = "many";
  const std::string message = refusal();
  EXPECT_THAT(message, HasSubstr("api.requests_max"));
  EXPECT_THAT(message, HasSubstr("from OSTRAKA_API_REQUESTS_MAX"));
  EXPECT_THAT(message, HasSubstr("\"many\""));
  EXPECT_THAT(message, HasSubstr("1 to 100000"));
}

TEST_F(ConfigTest, RefusalsNameTheLineOfTheFile) {
  file("region = 'eu'\n\nthreads = 0\n");
  EXPECT_THAT(refusal(), HasSubstr("ostraka.toml line 3"));
  file("[api]\nrequest_max = 5\n");
  EXPECT_THAT(refusal(), HasSubstr("no such setting"));
  file("threads = [1]\n");
  EXPECT_THAT(refusal(), HasSubstr("whole number"));
  file("drives = 'x'\n");
  EXPECT_THAT(refusal(), HasSubstr("list of strings"));
  file("a = \n");
  EXPECT_THAT(refusal(), HasSubstr("line 1"));
  sources_.file = folder_ / "absent.toml";
  EXPECT_THAT(refusal(), HasSubstr("absent.toml"));
}

TEST_F(ConfigTest, RefusesValuesOutOfRange) {
  const std::pair<const char*, const char*> bad[] = {{"address", "nowhere"},
                                                     {"address", "::1:9000"},
                                                     {"address", "1.2.3.4:65536"},
                                                     {"address", "example.com:1"},
                                                     {"erasure_set", "2+4"},
                                                     {"erasure_set", "17+1"},
                                                     {"erasure_set", "0+0"},
                                                     {"erasure_set", "six"},
                                                     {"region", ""},
                                                     {"region", "EU West"},
                                                     {"domain", "Bad_Domain"},
                                                     {"threads", "257"},
                                                     {"api.request_timeout", "1"},
                                                     {"api.idle_timeout", "5 h"},
                                                     {"memory.buffers", "1MiB"},
                                                     {"memory.index", "99999999999GiB"},
                                                     {"log.level", "loud"},
                                                     {"log.access", "maybe"},
                                                     {"storage.reduced_parity", "-1"},
                                                     {"scanner.period", "14"},
                                                     {"scanner.period", "0d"},
                                                     {"scanner.period", "2000d"}};
  for (const auto& [name, value] : bad) {
    sources_.flags = {{name, value}};
    const std::string message = refusal();
    EXPECT_THAT(message, HasSubstr(std::string("setting ") + name)) << value;
    EXPECT_THAT(message, HasSubstr(flag_of(name))) << value;
  }
}

TEST_F(ConfigTest, RefusesWhatDoesNotFitTogether) {
  sources_.flags = {{"erasure_set", "8+2"}};
  EXPECT_THAT(refusal(), HasSubstr("at least 10 drives, and 6 are given"));
  sources_.flags = {{"erasure_set", "4+2"}, {"storage.reduced_parity", "3"}};
  EXPECT_THAT(refusal(), HasSubstr("more than the 2"));
  sources_.flags = {{"console_address", "127.0.0.1:9000"}};
  EXPECT_THAT(refusal(), HasSubstr("the address of S3 already"));
}

TEST_F(ConfigTest, CredentialsAreRequiredAndNeverPrinted) {
  environment_.erase("OSTRAKA_ROOT_PASSWORD");
  EXPECT_THAT(refusal(), HasSubstr("OSTRAKA_ROOT_PASSWORD is not set"));
  environment_["OSTRAKA_ROOT_PASSWORD"] = "hunter2";
  EXPECT_THAT(refusal(), HasSubstr("8 to 128"));
  EXPECT_THAT(refusal(), Not(HasSubstr("hunter2")));
  environment_ = {{"OSTRAKA_ROOT_USER", "ab"}, {"OSTRAKA_ROOT_PASSWORD", "a-long-secret"}};
  EXPECT_THAT(refusal(), HasSubstr("OSTRAKA_ROOT_USER"));
  environment_["OSTRAKA_ROOT_USER"] = "a/b/c";
  EXPECT_THAT(refusal(), HasSubstr("'/'"));
}

TEST_F(ConfigTest, TheControlStoreIsOnTheDrivesOrInEtcd) {
  EXPECT_TRUE(load().control_store.etcd.empty());
  sources_.flags["control.store"] = "etcd://e1:2379,[::1]:2380";
  ServerConfig config = load();
  ASSERT_EQ(config.control_store.etcd.size(), 2U);
  EXPECT_EQ(net::to_string(config.control_store.etcd[0]), "e1:2379");
  EXPECT_EQ(net::to_string(config.control_store.etcd[1]), "[::1]:2380");
  EXPECT_FALSE(config.control_store.etcd_tls);
  EXPECT_EQ(config.control_store.cluster, "default");
  environment_["OSTRAKA_CONTROL_CLUSTER"] = "blue";
  sources_.flags["control.store"] = "etcds://10.0.0.1:2379";
  config = load();
  EXPECT_TRUE(config.control_store.etcd_tls);
  EXPECT_EQ(config.control_store.cluster, "blue");
  const auto alone = load_control_store_config(sources_);
  ASSERT_TRUE(alone.has_value());
  EXPECT_EQ(alone->cluster, "blue");
  EXPECT_EQ(alone->etcd.size(), 1U);
  sources_.flags["control.store"] = "embedded";
  EXPECT_TRUE(load().control_store.etcd.empty());
  for (const char* bad : {"", "etcd://", "etcd://e1", "etcd://e1:0", "etcd://:2379", "etcd://e1:2379,",
                          "e1:2379", "http://e1:2379", "etcd://e1:2379/x"}) {
    sources_.flags["control.store"] = bad;
    EXPECT_THAT(refusal(), HasSubstr("setting control.store (from --control-store)")) << bad;
  }
}

TEST_F(ConfigTest, AUserOfEtcdNeedsAPassword) {
  sources_.flags["control.user"] = "ostraka";
  EXPECT_THAT(refusal(), HasSubstr("OSTRAKA_CONTROL_PASSWORD is not set"));
  environment_["OSTRAKA_CONTROL_PASSWORD"] = "of etcd";
  EXPECT_EQ(load().control_store.password, "of etcd");
  sources_.flags.clear();
  EXPECT_THAT(refusal(), HasSubstr("control.user is not"));
}

TEST(ConfigDocumentTest, ListsEverySetting) {
  PosixFs fs;
  const auto page = fs.read_file(OSTRAKA_SOURCE_DIR "/docs/configuration.md", 1U << 20);
  ASSERT_TRUE(page.has_value());
  for (const Setting& setting : settings()) {
    const std::string row =
        fmt::format("| `{}` | `{}` | `{}` | {} | {} | {} |", setting.name, flag_of(setting.name),
                    variable_of(setting.name), setting.help, setting.fallback, setting.allowed);
    EXPECT_THAT(*page, HasSubstr(row)) << "docs/configuration.md is out of step with cmd/config.cc";
  }
}

TEST_F(ConfigTest, ACluster) {
  sources_.drives = {"http://node{1...2}:9000/d{1...2}"};
  EXPECT_THAT(refusal(), HasSubstr("setting control.store: it is not given"));
  sources_.flags["control.store"] = "etcd://e1:2379";
  EXPECT_THAT(refusal(), HasSubstr("setting cluster.certs_dir: it is not given"));
  sources_.flags["cluster.certs_dir"] = "/certs";
  const ServerConfig config = load();
  ASSERT_EQ(config.cluster_drives.size(), 4U);
  EXPECT_EQ(to_string(config.cluster_drives[2]), "http://node2:9000/d1");
  EXPECT_FALSE(config.address_given);
  environment_["OSTRAKA_ADDRESS"] = "10.0.0.1:9000";
  EXPECT_TRUE(load().address_given);
  EXPECT_EQ(config.shutdown_delay, std::chrono::seconds(5));
  sources_.flags["cluster.shutdown_delay"] = "1m";
  EXPECT_EQ(load().shutdown_delay, std::chrono::minutes(1));
  sources_.flags["cluster.shutdown_delay"] = "0";
  EXPECT_EQ(load().shutdown_delay, std::chrono::seconds(0));
  sources_.flags["cluster.shutdown_delay"] = "1";
  EXPECT_THAT(refusal(), HasSubstr("0, or a time from 100ms to 60m"));
}

}  // namespace
}  // namespace ostraka::cmd
