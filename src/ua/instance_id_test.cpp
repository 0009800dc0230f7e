// SPDX-License-Identifier: Apache-2.0
#include "ua/instance_id.hpp"

#include <gtest/gtest.h>

#include <set>

namespace godwit::ua {
namespace {

class FullDisk final : public Store {
 public:
  std::optional<std::string> load(const std::string&) override { return std::nullopt; }
  Result<void> save(const std::string&, const std::string&) override {
    return fail(ErrorCode::Io, "no space left");
  }
};

class Lines final : public Log {
 public:
  bool enabled(Level) const override { return true; }
  void write(Level, std::string_view, std::string_view text) override { all += text; }
  std::string all;
};

// RFC 5626 §4.1, RFC 4122 §4.4
TEST(InstanceId, IsAVersionFourUuidAndNoTwoAreEqual) {
  SeededRandom random(7);
  std::set<std::string> seen;
  for (int i = 0; i < 200; ++i) {
    const std::string id = make_instance_id(random);
    EXPECT_TRUE(is_instance_id(id)) << id;
    EXPECT_EQ(id[9 + 14], '4');
    EXPECT_NE(std::string("89ab").find(id[9 + 19]), std::string::npos) << id;
    EXPECT_TRUE(seen.insert(id).second);
  }
}

TEST(InstanceId, IsTheStoredOneAndReplacesGarbage) {
  SeededRandom random(7);
  Lines log;
  MemoryStore store;
  const std::string first = load_instance_id(&store, random, log);
  EXPECT_EQ(load_instance_id(&store, random, log), first);
  for (const std::string& garbage :
       {std::string("urn:uuid:"), first + "0", std::string(100'000, 'a'),
        std::string("urn:uuid:00000000-0000-4000-8000-00000000000\""),
        std::string("urn:uuid:00000000 0000-4000-8000-000000000000")}) {
    ASSERT_TRUE(store.save("instance-id", garbage));
    const std::string fresh = load_instance_id(&store, random, log);
    EXPECT_TRUE(is_instance_id(fresh));
    EXPECT_NE(fresh, garbage);
    EXPECT_EQ(store.load("instance-id"), fresh);
  }
  EXPECT_EQ(log.all, "");
}

TEST(InstanceId, WithoutAStoreOrWithAFullDiskThereIsOneForThisRun) {
  SeededRandom random(7);
  Lines log;
  FullDisk disk;
  EXPECT_NE(load_instance_id(nullptr, random, log), load_instance_id(nullptr, random, log));
  EXPECT_EQ(log.all, "");
  EXPECT_TRUE(is_instance_id(load_instance_id(&disk, random, log)));
  EXPECT_NE(log.all.find("no space left"), std::string::npos);
}

}  // namespace
}  // namespace godwit::ua
