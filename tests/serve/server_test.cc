// A larger model behind an API, well and badly behaved.
#include "ondine/server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <thread>

#include "base/temp_dir.h"
#include "serve/raw_server.h"

namespace ondine::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// Short, where a test waits for a limit; the others are far from it.
constexpr double kShort = 0.3;

Server At(const std::string& url, ServerSettings settings = {}) {
  settings.url = url;
  auto server = Server::Create(settings);
  EXPECT_TRUE(server) << server.error().ToString();
  return std::move(*server);
}

ServerAnswer Ask(Server& server, std::string* heard = nullptr) {
  return server.Ask("Why is the sky blue?", [&](std::string_view text) {
    if (heard != nullptr) *heard += text;
  });
}

void AnswerWell(int connection, int) {
  RawServer::Send(connection,
                  kStreamHead + StreamPiece("Because ") + StreamPiece("of Rayleigh.") + kStreamEnd);
}

RawServer::Answer Always(const std::string& bytes) {
  return [bytes](int connection, int) { RawServer::Send(connection, bytes); };
}

std::string ReadAll(const std::string& path) {
  std::ifstream file(path);
  return (std::stringstream() << file.rdbuf()).str();
}

TEST(Server, StreamsAnAnswer) {
  const RawServer raw(AnswerWell);
  Server server = At(raw.url());
  std::string heard;
  const ServerAnswer answer = Ask(server, &heard);
  EXPECT_FALSE(answer.failure) << answer.detail;
  EXPECT_EQ(answer.text, "Because of Rayleigh.");
  EXPECT_EQ(heard, answer.text);
  EXPECT_TRUE(answer.sent);
  EXPECT_EQ(answer.attempts, 1);
}

TEST(Server, MayWriteTheTypeOfAStreamInEitherCase) {
  std::string head = kStreamHead;
  const std::string type = "text/event-stream";
  const std::size_t at = head.find(type);
  ASSERT_NE(at, std::string::npos);
  head.replace(at, type.size(), "Text/Event-Stream; charset=utf-8");
  const RawServer raw(Always(head + StreamPiece("Air.") + kStreamEnd));
  Server server = At(raw.url());
  const ServerAnswer answer = Ask(server);
  EXPECT_FALSE(answer.failure) << answer.detail;
  EXPECT_EQ(answer.text, "Air.");
}

TEST(Server, IsToldTheQuestionTheKeyAndNothingElse) {
  const RawServer raw(AnswerWell);
  ServerSettings settings;
  settings.key = "sk-secret";
  settings.model = "large";
  settings.max_tokens = 77;
  Server server = At(raw.url(), settings);
  Ask(server);
  const std::string request = raw.requests().at(0);
  EXPECT_THAT(request, StartsWith("POST /v1/chat/completions HTTP/1.1\r\n"));
  EXPECT_THAT(request, HasSubstr("Authorization: Bearer sk-secret\r\n"));
  const nlohmann::json expected = {
      {"model", "large"},
      {"messages", {{{"role", "user"}, {"content", "Why is the sky blue?"}}}},
      {"max_tokens", 77},
      {"stream", true}};
  EXPECT_EQ(nlohmann::json::parse(request.substr(request.find("\r\n\r\n"))), expected);
}

TEST(Server, StopsListeningWhereAStreamSaysThatItIsDone) {
  const RawServer raw([](int connection, int number) {
    RawServer::Send(connection,
                    kStreamHead + StreamPiece("Air.") + kStreamEnd + StreamPiece("More."));
    RawServer::SaysNothing(connection, number);  // and does not close either
  });
  Server server = At(raw.url());
  EXPECT_EQ(Ask(server).text, "Air.");
}

TEST(Server, AnErrorThatIsNullIsNone) {
  const RawServer raw(
      Always(kStreamHead +
             std::string(R"(data: {"error":null,"choices":[{"delta":{"content":"Air."}}]})") +
             "\n\n" + kStreamEnd));
  Server server = At(raw.url());
  EXPECT_EQ(Ask(server).text, "Air.");
}

TEST(Server, TakesAnAnswerThatComesWhole) {
  const RawServer raw(Always(HttpAnswer(200, R"({"choices":[{"message":{"content":"Air."}}]})")));
  Server server = At(raw.url());
  std::string heard;
  EXPECT_EQ(Ask(server, &heard).text, "Air.");
  EXPECT_EQ(heard, "Air.");
}

TEST(Server, CannotDriveTheTerminal) {
  const RawServer raw(Always(kStreamHead +
                             StreamPiece("a\x1b[31mb\r\x07\n\tc\x7f\xc2\x9b"
                                         "5m\xc2\xa0\xc3\x9b") +
                             kStreamEnd));
  Server server = At(raw.url());
  EXPECT_EQ(Ask(server).text,
            "a[31mb\n\tc"
            "5m\xc2\xa0\xc3\x9b");
}

struct Fault {
  const char* name;
  std::string bytes;
  ServerFailure failure;
  int attempts;
  const char* detail;
};
std::ostream& operator<<(std::ostream& out, const Fault& fault) {
  return out << fault.name;
}

std::string NameOf(const ::testing::TestParamInfo<Fault>& fault) {
  std::string name = fault.param.name;
  std::replace_if(
      name.begin(), name.end(), [](char c) { return std::isalnum(c) == 0; }, '_');
  return name;
}

class Faults : public ::testing::TestWithParam<Fault> {};
INSTANTIATE_TEST_SUITE_P(
    Server, Faults,
    ::testing::Values(
        Fault{"key", HttpAnswer(401, R"({"error":{"message":"wrong key"}})"),
              ServerFailure::kKeyRefused, 1, "wrong key"},
        Fault{"quota", HttpAnswer(429, R"({"error":{"code":"insufficient_quota"}})"),
              ServerFailure::kQuota, 1, "429"},
        Fault{"payment", HttpAnswer(402, ""), ServerFailure::kQuota, 1, "402"},
        Fault{"busy", HttpAnswer(429, "{}"), ServerFailure::kBusy, 2, "429"},
        Fault{"busy for long", HttpAnswer(503, "", "text/html", "Retry-After: 3600\r\n"),
              ServerFailure::kBusy, 1, "503"},
        Fault{"busy until a day",
              HttpAnswer(503, "", "text/html", "Retry-After: Fri, 31 Dec 2100 23:59:59 GMT\r\n"),
              ServerFailure::kBusy, 1, "503"},
        Fault{"error", HttpAnswer(500, "<html>oh</html>", "text/html"), ServerFailure::kServerError,
              2, "500"},
        Fault{"no such model", HttpAnswer(404, R"({"error":"no model 'x'"})"),
              ServerFailure::kRejected, 1, "no model"},
        Fault{"no HTTP", "SSH-2.0-OpenSSH_9.2\r\n", ServerFailure::kBroken, 1, "HTTP"},
        Fault{"nothing", "", ServerFailure::kBroken, 1, "broke"},
        Fault{"no JSON", HttpAnswer(200, "<html>"), ServerFailure::kNoAnswer, 1, "no answer"},
        Fault{"no choices", HttpAnswer(200, R"({"choices":[]})"), ServerFailure::kNoAnswer, 1,
              "no answer"},
        Fault{"nothing to show",
              HttpAnswer(200, R"({"choices":[{"message":{"content":"\u001b\u0007"}}]})"),
              ServerFailure::kNoAnswer, 1, "no answer"},
        Fault{"cut off", HttpAnswer(200, std::string(50, ' ')).substr(0, 120),
              ServerFailure::kBroken, 1, "broke"},
        Fault{"garbage in a stream", kStreamHead + StreamPiece("a") + "data: {\"x\n\n",
              ServerFailure::kNoAnswer, 1, "no answer"},
        Fault{"bad UTF-8", kStreamHead + std::string("data: {\"choices\":\"\xff\"}\n\n"),
              ServerFailure::kNoAnswer, 1, "no answer"},
        Fault{"an error in a stream",
              kStreamHead + std::string("data: {\"error\":{\"message\":\"no memory\"}}\n\n"),
              ServerFailure::kServerError, 2, "no memory"},
        Fault{"a stream of nothing", kStreamHead + std::string(kStreamEnd),
              ServerFailure::kNoAnswer, 1, "no answer"},
        Fault{"a stream that is cut off", kStreamHead + std::string(": nothing yet\n"),
              ServerFailure::kBroken, 1, "broke off"},
        Fault{"no content", "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n",
              ServerFailure::kRejected, 1, "204"},
        Fault{"too much", HttpAnswer(200, std::string(std::size_t{5} << 20, 'x')),
              ServerFailure::kNoAnswer, 1, "no answer"}),
    NameOf);

TEST_P(Faults, AreToldApartAndTriedAgainOnlyWhereThatMayHelp) {
  const RawServer raw(Always(GetParam().bytes));
  Server server = At(raw.url());
  const ServerAnswer answer = Ask(server);
  ASSERT_TRUE(answer.failure);
  EXPECT_STREQ(ServerFailureName(*answer.failure), ServerFailureName(GetParam().failure));
  EXPECT_THAT(answer.detail, HasSubstr(GetParam().detail));
  EXPECT_THAT(answer.detail, Not(HasSubstr("\n")));
  EXPECT_EQ(answer.attempts, GetParam().attempts);
  EXPECT_EQ(raw.connections(), GetParam().attempts);
  EXPECT_TRUE(answer.sent);
}

TEST(Server, IsAskedAgainAfterAMomentOfTrouble) {
  const RawServer raw([](int connection, int number) {
    if (number > 0) return AnswerWell(connection, number);
    RawServer::Send(connection, HttpAnswer(503, "", "text/plain", "Retry-After: 0\r\n"));
  });
  Server server = At(raw.url());
  const ServerAnswer answer = Ask(server);
  EXPECT_FALSE(answer.failure) << answer.detail;
  EXPECT_EQ(answer.attempts, 2);
  EXPECT_EQ(server.Down(), "");
}

TEST(Server, KeepsWhatCameBeforeAnAnswerBrokeOff) {
  const RawServer raw(Always(kStreamHead + StreamPiece("Because ")));
  Server server = At(raw.url());
  std::string heard;
  const ServerAnswer answer = Ask(server, &heard);
  EXPECT_EQ(answer.failure, ServerFailure::kBroken);
  EXPECT_EQ(answer.text, "Because ");
  EXPECT_EQ(heard, "Because ");
  EXPECT_EQ(answer.attempts, 1);
}

TEST(Server, ThatSaysNothingIsNotWaitedForLongerThanTheLimit) {
  const RawServer raw(RawServer::SaysNothing);
  ServerSettings settings;
  settings.silence_seconds = kShort;
  Server server = At(raw.url(), settings);
  const ServerAnswer answer = Ask(server);
  EXPECT_EQ(answer.failure, ServerFailure::kTooSlow);
  EXPECT_EQ(answer.attempts, 1);
}

TEST(Server, ThatDripsIsNotWaitedForLongerThanTheLimitOfAll) {
  std::atomic<bool> ends = false;
  const RawServer raw([&](int connection, int) {
    RawServer::Send(connection, kStreamHead);
    while (!ends) {
      RawServer::Send(connection, ": wait\n");
      std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
  });
  ServerSettings settings;
  settings.answer_seconds = kShort;
  Server server = At(raw.url(), settings);
  EXPECT_EQ(Ask(server).failure, ServerFailure::kTooSlow);
  ends = true;
}

TEST(Server, CanBeStopped) {
  const StopToken stop;
  const RawServer raw([&](int connection, int number) {
    stop.Stop();
    RawServer::SaysNothing(connection, number);
  });
  Server server = At(raw.url());
  EXPECT_EQ(server.Ask("x", nullptr, stop).failure, ServerFailure::kStopped);
  EXPECT_EQ(server.Down(), "");
}

TEST(Server, WhereNobodyListensIsLeftAloneAfterwards) {
  const int port = UnusedPort();
  Server server = At("http://127.0.0.1:" + std::to_string(port));
  ServerAnswer answer = Ask(server);
  EXPECT_EQ(answer.failure, ServerFailure::kUnreachable);
  EXPECT_FALSE(answer.sent);
  EXPECT_THAT(server.Down(), StartsWith("unreachable a moment ago"));
  answer = Ask(server);
  EXPECT_EQ(answer.failure, ServerFailure::kMarkedDown);
  EXPECT_EQ(answer.attempts, 0);
}

TEST(Server, OfANameThatIsNoneIsUnreachable) {
  Server server = At("http://" + std::string(70, 'x') + "/v1");  // longer than names can be
  EXPECT_EQ(Ask(server).failure, ServerFailure::kUnreachable);
}

TEST(Server, IsAskedWithoutAProxyWhateverTheEnvironmentSays) {
  const RawServer proxy(AnswerWell);
  for (const char* name : {"http_proxy", "all_proxy", "ALL_PROXY"}) {
    setenv(name, ("http://127.0.0.1:" + std::to_string(proxy.port())).c_str(), 1);
  }
  const RawServer raw(AnswerWell);
  Server server = At(raw.url());
  EXPECT_FALSE(Ask(server).failure);
  for (const char* name : {"http_proxy", "all_proxy", "ALL_PROXY"}) unsetenv(name);
  EXPECT_EQ(raw.connections(), 1);
  EXPECT_EQ(proxy.connections(), 0);
}

TEST(Server, AReceiverThatTakesItsTimeIsNotTakenForSilence) {
  const RawServer raw([](int connection, int) {
    RawServer::Send(connection, kStreamHead + StreamPiece("Because "));
    std::this_thread::sleep_for(std::chrono::duration<double>(kShort / 2));
    RawServer::Send(connection, StreamPiece("of Rayleigh.") + kStreamEnd);
  });
  ServerSettings settings;
  settings.silence_seconds = kShort;
  Server server = At(raw.url(), settings);
  const ServerAnswer answer = server.Ask("x", [](std::string_view) {
    std::this_thread::sleep_for(std::chrono::duration<double>(2 * kShort));
  });
  EXPECT_EQ(answer.text, "Because of Rayleigh.") << answer.detail;
}

TEST(Server, IsNotFollowedElsewhere) {
  const RawServer elsewhere(AnswerWell);
  const RawServer raw(Always(
      HttpAnswer(307, "", "text/plain", "Location: " + elsewhere.url() + "/chat/completions\r\n")));
  Server server = At(raw.url());
  EXPECT_EQ(Ask(server).failure, ServerFailure::kRejected);
  EXPECT_EQ(elsewhere.connections(), 0);
}

TEST(Server, WhatLeavesIsNotedBefore) {
  const TempDir folder;
  ServerSettings settings;
  settings.log = folder.File("sent.jsonl");
  std::string noted_before;
  const RawServer raw([&](int connection, int number) {
    noted_before = ReadAll(settings.log);
    AnswerWell(connection, number);
  });
  Server server = At(raw.url(), settings);
  Ask(server);
  const auto sending = nlohmann::json::parse(noted_before);
  EXPECT_EQ(sending["event"], "sending");
  EXPECT_EQ(sending["server"], raw.url());
  EXPECT_EQ(sending["text"], "Why is the sky blue?");
  EXPECT_THAT(ReadAll(settings.log), StartsWith(noted_before));
  EXPECT_THAT(ReadAll(settings.log), HasSubstr(R"("event":"answered")"));
}

TEST(Server, ALineThatBrokeOffInTheLogSpoilsNoOther) {
  const TempDir folder;
  ServerSettings settings;
  settings.log = folder.File("sent.jsonl");
  std::ofstream(settings.log) << "{\"time\": \"20";
  const RawServer raw(AnswerWell);
  Server server = At(raw.url(), settings);
  Ask(server);
  std::istringstream lines(ReadAll(settings.log));
  std::string line;
  std::getline(lines, line);
  int whole = 0;
  while (std::getline(lines, line)) whole += nlohmann::json::accept(line) ? 1 : 0;
  EXPECT_EQ(whole, 2);
}

TEST(Server, WhatCannotBeNotedDoesNotLeave) {
  const RawServer raw(AnswerWell);
  for (const char* log : {"/dev/full", "/no/such/folder/sent.jsonl"}) {
    ServerSettings settings;
    settings.log = log;
    Server server = At(raw.url(), settings);
    const ServerAnswer answer = Ask(server);
    EXPECT_EQ(answer.failure, ServerFailure::kNotLogged);
    EXPECT_THAT(answer.detail, StartsWith(log));
    EXPECT_FALSE(answer.sent);
  }
  EXPECT_EQ(raw.connections(), 0);
}

TEST(Server, SettingsThatMakeNoSenseAreRefused) {
  const auto refused = [](ServerSettings settings, ErrorCode code) {
    const auto server = Server::Create(settings);
    ASSERT_FALSE(server);
    EXPECT_EQ(server.error().code, code);
  };
  refused({.url = "example.com"}, ErrorCode::kInvalidArgument);
  refused({.url = "http://a", .key = "with\nnewline"}, ErrorCode::kInvalidArgument);
  refused({.url = "http://a", .certificates = "/no/such.pem"}, ErrorCode::kNotFound);
  ServerSettings settings{.url = "http://a"};
  settings.silence_seconds = std::nan("");
  refused(settings, ErrorCode::kInvalidArgument);
}

}  // namespace
}  // namespace ondine::testing
