// SPDX-License-Identifier: Apache-2.0
#include "runtime/file_store.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace godwit::runtime {
namespace {

namespace fs = std::filesystem;

class FileStoreTest : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "godwit-store-XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder = pattern;
  }
  void TearDown() override { fs::remove_all(folder); }
  std::string folder;
};

TEST_F(FileStoreTest, KeepsTextsForTheNextRunReadableByItsUserOnly) {
  const std::string deep = folder + "/a/b";
  EXPECT_EQ(FileStore(deep).load("instance-id"), std::nullopt);
  ASSERT_TRUE(FileStore(deep).save("instance-id", "urn:uuid:1"));
  ASSERT_TRUE(FileStore(deep).save("instance-id", "urn:uuid:2"));
  EXPECT_EQ(FileStore(deep).load("instance-id"), "urn:uuid:2");
  struct stat status {};
  ASSERT_EQ(::stat((deep + "/instance-id").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777U, 0600U);
  std::size_t files = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator(deep)) ++files;
  EXPECT_EQ(files, 1U) << "no draft is left behind";
}

TEST_F(FileStoreTest, ReadsNothingThatIsTooLongAndSaysWhyItCannotSave) {
  std::ofstream(folder + "/big") << std::string(FileStore::kMaxBytes + 1, 'x');
  EXPECT_EQ(FileStore(folder).load("big"), std::nullopt);
  EXPECT_EQ(FileStore(folder).load("."), std::nullopt) << "a folder is no text";
  EXPECT_FALSE(FileStore(folder).save("long", std::string(FileStore::kMaxBytes, 'x')));
  std::ofstream(folder + "/file") << "x";
  const auto saved = FileStore(folder + "/file").save("key", "value");
  ASSERT_FALSE(saved);
  EXPECT_NE(saved.error().detail.find(folder), std::string::npos);
}

}  // namespace
}  // namespace godwit::runtime
