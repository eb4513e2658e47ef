#include "cluster/drive_register.h"

#include <gtest/gtest.h>

namespace ostraka::cluster {
namespace {

DriveRegister example() {
  DriveRegister drives(3);
  drives[1].emplace();
  drives[1]->mount_point = "/mnt/disk \"1\"";
  drives[2].emplace();
  drives[2]->incarnation.bytes.fill(0xe7);
  drives[2]->mount_point = "/";
  return drives;
}

TEST(DriveRegister, ComesBackAsItWas) {
  const auto back = decode_drive_register(encode_drive_register(example()));
  ASSERT_TRUE(back.has_value()) << back.error().detail;
  EXPECT_EQ(*back, example());
}

// Deployments have it: what was written once must be read for ever.
TEST(DriveRegister, ReadsWhatTheFirstReleaseWrote) {
  const std::string stored =
      R"({"drives":[null,{"incarnation":"00000000-0000-0000-0000-000000000000","mount_point":"/mnt/disk \"1\""},)"
      R"({"incarnation":"e7e7e7e7-e7e7-e7e7-e7e7-e7e7e7e7e7e7","mount_point":"/"}],"version":1})";
  const auto back = decode_drive_register(stored);
  ASSERT_TRUE(back.has_value()) << back.error().detail;
  EXPECT_EQ(*back, example());
  EXPECT_EQ(encode_drive_register(example()), stored);
}

TEST(DriveRegister, RefusesWhatIsNone) {
  for (const char* text : {"", "[]", "{}", R"({"version":1})", R"({"version":1,"drives":{}})",
                           R"({"version":1,"drives":[7]})", R"({"version":1,"drives":[{"incarnation":"x"}]})",
                           R"({"version":1,"drives":[{"incarnation":"x","mount_point":"/"}]})"}) {
    EXPECT_TRUE(decode_drive_register(text).failed_with(Errc::malformed)) << text;
  }
  EXPECT_TRUE(decode_drive_register(R"({"version":2,"drives":[]})").failed_with(Errc::unsupported_version));
}

}  // namespace
}  // namespace ostraka::cluster
