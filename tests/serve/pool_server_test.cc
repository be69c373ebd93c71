// A pool on a server: what leaves the device, and what comes back.
#include "ondine/pool_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <httplib.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <thread>

#include "adapters/adapter_fixture.h"
#include "adapters/pool_file.h"
#include "engine/adapter_parts.h"
#include "engine/engine_fixture.h"
#include "engine/model_parts.h"
#include "models/base_fingerprint.h"
#include "serve/pool_message.h"
#include "serve/raw_server.h"

namespace ondine::testing {
namespace {

using serve::PoolOutline;
using serve::PoolRequest;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::SizeIs;
using ::testing::StartsWith;
using ::testing::UnorderedElementsAre;

TEST(PoolMessages, ComeBackAsTheyWere) {
  const PoolOutline outline{"p", "b", {{0.5F, -1.25F}, {{1, 0}, {0, 1}, {0.6F, -0.8F}}}};
  const auto read = serve::ParsePoolOutline(ToMessage(outline));
  ASSERT_TRUE(read) << read.error().ToString();
  EXPECT_EQ(read->pool, "p");
  EXPECT_EQ(read->base, "b");
  EXPECT_EQ(read->tasks.mean, outline.tasks.mean);
  EXPECT_EQ(read->tasks.indicators, outline.tasks.indicators);
  const auto request =
      serve::ParsePoolRequest(ToMessage(PoolRequest{"p", {0.12345678, -1, 7.654321}}));
  ASSERT_TRUE(request);
  EXPECT_EQ(request->similarities, (std::vector<double>{0.123, -1, 1}));
}

TEST(PoolMessages, AServerCannotAskForManyNumbers) {
  PoolOutline outline{"p", "b", {{0}, std::vector<std::vector<float>>(64, {1.0F})}};
  EXPECT_TRUE(serve::ParsePoolOutline(ToMessage(outline)));
  outline.tasks.indicators.push_back({1});
  EXPECT_FALSE(serve::ParsePoolOutline(ToMessage(outline)));
}

TEST(PoolMessages, WhatIsNestedDeeplyIsNotKept) {
  const std::string deep(1 << 20, '[');
  EXPECT_FALSE(serve::ParsePoolOutline(deep));
  EXPECT_FALSE(
      serve::ParsePoolOutline(R"({"pool":"p","base":"b","mean":[1],"indicators":[[[1]]]})"));
}

TEST(PoolMessages, WhatIsNoneIsRefused) {
  for (const char* text :
       {"", "[]", "{}", R"({"pool":"p"})", R"({"pool":1,"similarities":[1]})",
        R"({"pool":"p","similarities":[]})", R"({"pool":"p","similarities":["x"]})",
        R"({"pool":"p","similarities":[1e999]})", R"({"pool":"p","similarities":[1],"more":1})"}) {
    EXPECT_FALSE(serve::ParsePoolRequest(text)) << text;
  }
  for (const char* text : {"{}", R"({"pool":"p","base":"b","mean":[1],"indicators":[]})",
                           R"({"pool":"p","base":"b","mean":[1],"indicators":[[1,2]]})",
                           R"({"pool":"p","base":"b","mean":[],"indicators":[[]]})",
                           R"({"pool":"p","base":"b","mean":[1],"indicators":[[1000]]})",
                           R"({"pool":"p","base":"b","mean":[1],"indicators":{"a":[1]}})"}) {
    EXPECT_FALSE(serve::ParsePoolOutline(text)) << text;
  }
}

class PoolServerTest : public ::testing::Test {
 protected:
  PoolServerTest() {
    EXPECT_TRUE(adapters::WritePool(RandomPool(decoder(), 3, 2), folder_.File("pool.gguf")));
    auto pool = AdapterPool::Load(TinyLlamaModel(), folder_.File("pool.gguf"));
    EXPECT_TRUE(pool) << pool.error().ToString();
    pool_ = *pool;
  }
  static const models::Decoder& decoder() { return *TinyLlamaModel()->parts().decoder; }

  Result<RemoteCustomization> Customize(const std::string& url) const {
    ServerSettings settings;
    settings.url = url;
    return CustomizeFrom(settings, TinyLlamaModel(), examples_, folder_.File("mine.gguf"));
  }
  std::string Outline(const std::string& base) const {
    return ToMessage(PoolOutline{"some pool", base, pool_->parts().pool.tasks});
  }

  TempDir folder_;
  std::shared_ptr<const AdapterPool> pool_;
  const std::vector<Example> examples_ = {{"a secret question", "its answer"}, {"another", ""}};
};

TEST_F(PoolServerTest, GivesTheAdapterThatThePoolItselfWould) {
  auto server = PoolServer::Create(pool_, "127.0.0.1", 0);
  ASSERT_TRUE(server) << server.error().ToString();
  const StopToken stop;
  std::thread thread([&] { server->Run(stop); });
  const auto result = Customize("http://127.0.0.1:" + std::to_string(server->port()));
  stop.Stop();
  thread.join();
  ASSERT_TRUE(result) << result.error().ToString();
  const auto local = pool_->Weigh(examples_);
  ASSERT_TRUE(local);
  EXPECT_EQ(result->similarities, local->similarities);
  std::vector<double> rounded;
  for (const double s : local->similarities) rounded.push_back(std::round(1000 * s) / 1000);
  const auto blend = pool_->Blend(adapters::SoftmaxOf(rounded, pool_->info().temperature));
  EXPECT_EQ(result->adapter->info().fingerprint, (*blend)->info().fingerprint);
  EXPECT_TRUE(Adapter::Load(*TinyLlamaModel(), folder_.File("mine.gguf")));
}

// The HTTP library answers ranges by putting the answer together once for each, in memory.
TEST_F(PoolServerTest, RangesAreNotServed) {
  auto server = PoolServer::Create(pool_, "127.0.0.1", 0);
  ASSERT_TRUE(server) << server.error().ToString();
  const StopToken stop;
  std::thread thread([&] { server->Run(stop); });
  httplib::Client client("127.0.0.1", server->port());
  std::string ranges = "bytes=0-";
  for (int i = 0; i < 200; ++i) ranges += ",0-";
  const auto reply = client.Get("/v1/pool", {{"Range", ranges}});
  const auto whole = client.Get("/v1/pool");
  stop.Stop();
  thread.join();
  ASSERT_TRUE(reply);
  EXPECT_EQ(reply->status, 416);
  ASSERT_TRUE(whole);
  EXPECT_EQ(whole->status, 200);
}

TEST_F(PoolServerTest, NothingButSimilaritiesLeaves) {
  const std::string outline = Outline(models::BaseFingerprint(decoder()));
  const RawServer raw([&](int connection, int number) {
    RawServer::Send(connection, HttpAnswer(200, number == 0 ? outline : "no adapter"));
  });
  std::ofstream(folder_.File("mine.gguf")) << "before";
  EXPECT_FALSE(Customize("http://127.0.0.1:" + std::to_string(raw.port())));
  const auto requests = raw.requests();
  ASSERT_THAT(requests, SizeIs(2));
  EXPECT_THAT(requests[0], StartsWith("GET /v1/pool HTTP/1.1\r\n"));
  EXPECT_EQ(requests[0].substr(requests[0].find("\r\n\r\n")), "\r\n\r\n");
  EXPECT_THAT(requests[1], StartsWith("POST /v1/pool/adapter HTTP/1.1\r\n"));
  const auto body = nlohmann::json::parse(requests[1].substr(requests[1].find("\r\n\r\n")));
  EXPECT_THAT(body, SizeIs(2));
  EXPECT_EQ(body["pool"], "some pool");
  EXPECT_THAT(body["similarities"], SizeIs(3));
  for (const std::string& request : requests) {
    for (const char* word : {"secret", "question", "answer", "another"}) {
      EXPECT_THAT(request, Not(HasSubstr(word)));
    }
  }
  // A bad answer overwrites nothing.
  std::string kept;
  std::ifstream(folder_.File("mine.gguf")) >> kept;
  EXPECT_EQ(kept, "before");
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
    files.push_back(entry.path().filename());
  }
  EXPECT_THAT(files, UnorderedElementsAre("mine.gguf", "pool.gguf"));
}

TEST_F(PoolServerTest, APoolOfAnotherModelIsRefusedBeforeAnythingIsSent) {
  const std::string outline = Outline("another");
  const RawServer raw(
      [&](int connection, int) { RawServer::Send(connection, HttpAnswer(200, outline)); });
  const auto result = Customize("http://127.0.0.1:" + std::to_string(raw.port()));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kMismatch);
  EXPECT_EQ(raw.connections(), 1);
}

TEST_F(PoolServerTest, RefusalsOfTheServerAreToldInItsWords) {
  const RawServer raw([&](int connection, int) {
    RawServer::Send(connection, HttpAnswer(409, "another pool", "text/plain"));
  });
  const auto result = Customize("http://127.0.0.1:" + std::to_string(raw.port()));
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, ErrorCode::kIo);
  EXPECT_THAT(result.error().message, HasSubstr("409, 'another pool'"));
  const auto away = Customize("http://127.0.0.1:" + std::to_string(UnusedPort()));
  ASSERT_FALSE(away);
  EXPECT_THAT(away.error().message, HasSubstr("nobody answers"));
}

TEST_F(PoolServerTest, AnAddressThatIsTakenIsAnError) {
  const RawServer raw(RawServer::SaysNothing);
  EXPECT_EQ(PoolServer::Create(pool_, "127.0.0.1", raw.port()).error().code, ErrorCode::kIo);
  const auto one = PoolServer::Create(pool_, "127.0.0.1", 0);
  ASSERT_TRUE(one);
  EXPECT_EQ(PoolServer::Create(pool_, "127.0.0.1", one->port()).error().code, ErrorCode::kIo);
  EXPECT_FALSE(PoolServer::Create(nullptr));
}

}  // namespace
}  // namespace ondine::testing
