// .pot files that are damaged, or well-formed and full of lies: an error each, never a crash.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <limits>
#include <map>
#include <random>
#include <span>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/temp_dir.h"
#include "engine/engine_fixture.h"
#include "formats/pot_file.h"

namespace ondine::testing {
namespace {

using formats::PotFile;
using formats::PotFileWriter;
using formats::PotValue;

// A saved pot taken apart, so that it can be written again with something changed and all checksums
// right.
struct Parts {
  std::map<std::string, PotValue> values;
  std::vector<std::pair<std::string, std::vector<std::byte>>> sections;

  std::vector<std::byte>& Section(const std::string& name) {
    for (auto& [each, bytes] : sections) {
      if (each == name) return bytes;
    }
    ADD_FAILURE() << "no section " << name;
    return sections.front().second;
  }
};

class HostilePotFile : public ::testing::TestWithParam<bool> {
 protected:
  HostilePotFile() {
    SessionOptions options = InPot(128);
    if (gemma()) options.pot->type = CacheType::kQ8_0;
    Session session = SessionThatRead(model(), options, RandomProse(700));
    EXPECT_TRUE(session.Save(good_));
    const auto file = PotFile::Open(good_);
    EXPECT_TRUE(file);
    for (const auto& [key, value] : file->values()) parts_.values[key] = value;
    for (const std::string& name : file->section_names()) {
      const auto bytes = file->Section(name).value();
      parts_.sections.emplace_back(name, std::vector<std::byte>(bytes.begin(), bytes.end()));
    }
  }

  static bool gemma() { return GetParam(); }
  static const std::shared_ptr<const Model>& model() {
    return gemma() ? TinyGemmaModel() : TinyLlamaModel();
  }

  Result<Session> Load(const Parts& parts) const {
    PotFileWriter writer;
    for (const auto& [key, value] : parts.values) writer.Set(key, value);
    for (const auto& [name, bytes] : parts.sections) writer.AddSection(name, bytes);
    EXPECT_TRUE(writer.Write(bad_));
    return Session::Load(model(), bad_, {.threads = 1});
  }

  Result<Session> LoadBytes(const std::string& bytes) const {
    std::ofstream(bad_, std::ios::binary) << bytes;
    return Session::Load(model(), bad_, {.threads = 1});
  }

  void ExpectRefused(const Parts& parts, const std::string& what) const {
    const auto session = Load(parts);
    ASSERT_FALSE(session) << what;
    EXPECT_NE(session.error().code, ErrorCode::kInternal) << what;
    EXPECT_FALSE(session.error().message.empty()) << what;
    EXPECT_EQ(session.error().ToString().find('\n'), std::string::npos) << what;
  }

  void ExpectRefused(const std::string& key, PotValue value) const {
    Parts parts = parts_;
    parts.values.at(key) = std::move(value);
    ExpectRefused(parts, key);
  }

  // Overwrites an element of a section.
  template <typename T>
  void ExpectElementRefused(const std::string& section, std::size_t index, T value) const {
    Parts parts = parts_;
    std::vector<std::byte>& bytes = parts.Section(section);
    ASSERT_LE((index + 1) * sizeof(T), bytes.size());
    std::memcpy(bytes.data() + index * sizeof(T), &value, sizeof(T));
    ExpectRefused(parts, section + " element " + std::to_string(index));
  }

  std::string Global() const { return gemma() ? "layer.5." : "layer.1."; }

  const TempDir folder_;
  const std::string good_ = folder_.File("good.pot"), bad_ = folder_.File("bad.pot");
  Parts parts_;
};

TEST_P(HostilePotFile, TheUnchangedPartsMakeAGoodFile) {
  auto session = Load(parts_);
  ASSERT_TRUE(session) << session.error().ToString();
  EXPECT_EQ(base::ReadFile(bad_).value(), base::ReadFile(good_).value());
}

TEST_P(HostilePotFile, CutOffAnywhere) {
  const std::string bytes = base::ReadFile(good_).value();
  std::mt19937 random(1);
  for (int i = 0; i < 150; ++i) {
    const std::size_t length = i < 50 ? static_cast<std::size_t>(i) : random() % bytes.size();
    EXPECT_FALSE(LoadBytes(bytes.substr(0, length))) << length;
  }
  EXPECT_FALSE(LoadBytes(bytes + '\0'));
}

TEST_P(HostilePotFile, OneBitFlippedAnywhere) {
  const std::string bytes = base::ReadFile(good_).value();
  std::mt19937 random(2);
  for (int i = 0; i < 400; ++i) {
    std::string changed = bytes;
    const std::size_t place = i < 100 ? static_cast<std::size_t>(i) : random() % bytes.size();
    changed[place] = static_cast<char>(changed[place] ^ (1 << random() % 8));
    EXPECT_FALSE(LoadBytes(changed)) << "byte " << place;
  }
}

TEST_P(HostilePotFile, EveryValueMissingOrOfAnotherType) {
  for (const auto& [key, value] : parts_.values) {
    if (key == "model.name") continue;  // for people only
    Parts parts = parts_;
    parts.values.erase(key);
    ExpectRefused(parts, key);
    for (const PotValue& other :
         {PotValue(std::string("x")), PotValue(std::int64_t{1}), PotValue(0.5), PotValue(true)}) {
      if (other.index() != value.index()) ExpectRefused(key, other);
    }
  }
}

TEST_P(HostilePotFile, EverySectionMissingOrOfAnotherLength) {
  for (std::size_t i = 0; i < parts_.sections.size(); ++i) {
    const std::string& name = parts_.sections[i].first;
    Parts parts = parts_;
    parts.sections.erase(parts.sections.begin() + static_cast<std::ptrdiff_t>(i));
    ExpectRefused(parts, name);
    parts = parts_;
    parts.sections[i].second.resize(parts.sections[i].second.size() + 4);
    ExpectRefused(parts, name);
    parts = parts_;
    if (parts.sections[i].second.empty()) continue;
    parts.sections[i].second.resize(parts.sections[i].second.size() - 1);
    ExpectRefused(parts, name);
  }
}

TEST_P(HostilePotFile, NumbersThatNoPotCanHave) {
  constexpr std::int64_t kLeast = std::numeric_limits<std::int64_t>::min();
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  for (const auto& [key, value] : parts_.values) {
    if (!std::holds_alternative<std::int64_t>(value)) continue;
    for (const std::int64_t number : {kLeast, std::int64_t{-1}, kMost, std::int64_t{1} << 40}) {
      ExpectRefused(key, number);
    }
  }
  const auto number = [&](const std::string& key) {
    return std::get<std::int64_t>(parts_.values.at(key));
  };
  for (const std::string key : {"state.length", "state.catalyst_tokens", "state.last_tokens"}) {
    ExpectRefused(key, number(key) + 1);
    ExpectRefused(key, number(key) - 1);
    ExpectRefused(key, std::int64_t{0});
  }
  // Origins have 32 bits.
  ExpectRefused("state.skipped", std::int64_t{std::numeric_limits<std::int32_t>::max()});
  ExpectRefused("state.length", number("pot.slots"));  // with no room for the catalyst
  ExpectRefused("state.position", number("state.length") - 1);
  ExpectRefused("pot.slots", number("state.length") - 1);
  ExpectRefused("pot.slots", number("state.length"));
  ExpectRefused("pot.sinks", number("pot.slots"));
  ExpectRefused("pot.recent", number("pot.slots"));
  ExpectRefused("counters.peak_entries", number("pot.slots") + 1);
  if (gemma()) {
    ExpectRefused("state.local_length", number("state.local_length") + 1);
    ExpectRefused("state.local_length", std::int64_t{5});
  } else {
    ExpectRefused("state.local_length", std::int64_t{1});
  }
}

// Would take terabytes if it were believed before it is checked.
TEST_P(HostilePotFile, NumbersOfSlotsThatNoMachineHas) {
  for (int bits = 25; bits < 63; ++bits) ExpectRefused("pot.slots", std::int64_t{1} << bits);
}

TEST_P(HostilePotFile, SettingsOutOfRange) {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const double infinity = std::numeric_limits<double>::infinity();
  for (const char* key : {"pot.keep", "pot.alpha"}) {
    for (const double value : {-0.1, 1.1, 1e300, nan, infinity, -infinity}) {
      ExpectRefused(key, value);
    }
  }
  ExpectRefused("pot.keep", 0.0);
  ExpectRefused("pot.keep", 1.0);
  ExpectRefused("pot.surprise_span", std::int64_t{-1});
  ExpectRefused("pot.attention_span", std::int64_t{0});
  ExpectRefused("pot.surprise_span", std::int64_t{1} << 31);
  for (const char* key : {"pot.policy", "pot.over_catalyst", "pot.over_group", "pot.cache_type",
                          "model.fingerprint", "model.architecture"}) {
    for (const char* name : {"", "no such thing", "infinipot\n"}) {
      ExpectRefused(key, std::string(name));
    }
  }
  ExpectRefused("pot.over_catalyst", std::string("mean"));
  ExpectRefused("pot.over_group", std::string("sum"));
  // Rows of another type have another length.
  ExpectRefused("pot.cache_type", std::string(gemma() ? "q4_0" : "q8_0"));
}

// Elsewhere the caller would have named them, and they would be the caller's mistake.
TEST_P(HostilePotFile, SettingsThatNoPotHasAreTheFilesFault) {
  const std::vector<std::pair<std::string, PotValue>> wrong = {
      {"pot.policy", std::string("none")},
      {"pot.cache_type", std::string("f8")},
      {"pot.keep", 0.0},
      {"pot.sinks", std::int64_t{100}}};
  for (const auto& [key, value] : wrong) {
    Parts parts = parts_;
    parts.values.at(key) = value;
    const auto session = Load(parts);
    ASSERT_FALSE(session) << key;
    EXPECT_EQ(session.error().code, ErrorCode::kCorrupt) << key;
    EXPECT_EQ(session.error().context, bad_) << key;
  }
}

// The longest stream that a pot reads has been read.
TEST_P(HostilePotFile, APotAtTheEndOfItsStreamReadsNoMore) {
  constexpr std::int64_t kLongest =
      std::numeric_limits<std::int32_t>::max() - (std::int64_t{1} << 24);
  Parts parts = parts_;
  parts.values.at("state.skipped") =
      kLongest - std::get<std::int64_t>(parts.values.at("state.position"));
  auto session = Load(parts);
  ASSERT_TRUE(session) << session.error().ToString();
  const auto answer = session->Ask("And then?", {Exactly(3)});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::kUnsupported);
}

TEST_P(HostilePotFile, TokensThatTheModelDoesNotHave) {
  for (const std::int32_t token : {-1, 257, std::numeric_limits<std::int32_t>::min(),
                                   std::numeric_limits<std::int32_t>::max()}) {
    ExpectElementRefused("catalyst", 0, token);
    ExpectElementRefused("catalyst", 7, token);
    ExpectElementRefused("last_tokens", 0, token);
    ExpectElementRefused("known.token", 5, token);
  }
}

TEST_P(HostilePotFile, NumbersThatAreNone) {
  for (const float value :
       {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
        -std::numeric_limits<float>::infinity()}) {
    ExpectElementRefused("carried", 0, value);
    ExpectElementRefused("carried", 63, value);
    ExpectElementRefused(Global() + "surprise", 3, value);
  }
  // The first value of an f16 row; the first scale (behind 32 quants) of a q8_0 row.
  const std::size_t half = gemma() ? 16 : 0;
  for (const std::uint16_t value :
       std::initializer_list<std::uint16_t>{0x7C00, 0xFC00, 0x7E00, 0xFFFF}) {
    ExpectElementRefused(Global() + "keys", half, value);
    ExpectElementRefused(Global() + "values", half, value);
    ExpectElementRefused("layer.0.keys", half, value);
  }
}

TEST_P(HostilePotFile, EntriesOutOfOrder) {
  const std::string name = Global() + "origin";
  for (const std::int32_t origin : {-1, 0, 700, std::numeric_limits<std::int32_t>::max(),
                                    std::numeric_limits<std::int32_t>::min()}) {
    ExpectElementRefused(name, 20, origin);
  }
  Parts parts = parts_;
  std::vector<std::byte>& bytes = parts.Section(name);
  std::memcpy(bytes.data() + 4, bytes.data(), 4);  // the same token twice
  ExpectRefused(parts, name);
  for (const std::int32_t origin : {-1, 0, 700, std::numeric_limits<std::int32_t>::max(),
                                    std::numeric_limits<std::int32_t>::min()}) {
    ExpectElementRefused("known.origin", 20, origin);
  }
}

// Whatever is accepted must be usable: one value after the other changed a little.
TEST_P(HostilePotFile, WhatIsAcceptedCanBeAsked) {
  int accepted = 0;
  for (const auto& [key, value] : parts_.values) {
    std::vector<PotValue> others;
    if (const auto* number = std::get_if<std::int64_t>(&value)) {
      for (const std::int64_t other : {*number + 1, *number - 1, *number * 2, std::int64_t{0},
                                       std::int64_t{1}, std::int64_t{1000}}) {
        others.emplace_back(other);
      }
    } else if (std::holds_alternative<double>(value)) {
      for (const double other : {0.0, 1e-9, 0.3, 0.6, 0.999, 1.0}) others.emplace_back(other);
    } else if (const auto* flag = std::get_if<bool>(&value)) {
      others.emplace_back(!*flag);
    } else if (key == "pot.policy") {
      for (const std::string& name : PotPolicyNames()) others.emplace_back(name);
    } else if (key.starts_with("text.")) {
      others.emplace_back(std::string("\xFF\0<|endoftext|>", 15));
      others.emplace_back(std::string());
    }
    for (const PotValue& other : others) {
      Parts parts = parts_;
      parts.values.at(key) = other;
      auto session = Load(parts);
      if (!session) continue;
      ++accepted;
      for (const int tokens : {3, 60}) {
        const auto answer = session->Ask("And then?", {Exactly(tokens)});
        if (!answer) {
          EXPECT_NE(answer.error().code, ErrorCode::kInternal) << key;
        }
      }
      EXPECT_LE(session->report().peak_entries, session->report().slots) << key;
      EXPECT_TRUE(session->Save(folder_.File("again.pot")));
    }
  }
  EXPECT_GT(accepted, 10);
}

INSTANTIATE_TEST_SUITE_P(Models, HostilePotFile, ::testing::Bool(),
                         [](const auto& gemma) { return gemma.param ? "Gemma" : "Llama"; });

}  // namespace
}  // namespace ondine::testing
