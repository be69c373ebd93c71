// ondine chat with a server, and ondine route.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>

#include "cli/program.h"
#include "serve/raw_server.h"

namespace ondine::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class ServerProgram : public ProgramTest {
 protected:
  RawServer raw_{[](int connection, int) {
    RawServer::Send(connection, kStreamHead + StreamPiece("From afar.") + kStreamEnd);
  }};
  // Every answer is unsure, or none is.
  const std::string unsure_ = Write("unsure.json", Gate("1.1"));
  const std::string sure_ = Write("sure.json", Gate("-1.1"));

  static std::string Gate(const std::string& confidence) {
    return R"({"ondine_gate":1,"signal":"probability","task":null,"confidence":)" + confidence +
           R"(,"probe_tokens":4})";
  }
  std::vector<std::string> Chat(const std::vector<std::string>& more) const {
    std::vector<std::string> arguments = {
        "chat", "-m", Model(),      "--chat-template", "chatml", "--server", raw_.url(),
        "-n",   "8",  "--sent-log", Path("sent"),      "--pot",  "256"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
};

TEST_F(ServerProgram, AnswersWhatTheModelIsUnsureOf) {
  const auto out =
      Json(Chat({"--gate", unsure_, "--privacy", "allow", "--once", "Hello", "--json"}));
  EXPECT_EQ(out["text"], "From afar.");
  EXPECT_EQ(out["decision"]["server"], true);
  EXPECT_EQ(out["decision"]["reason"], "unsure");
  const Outcome said = Run(Chat({"--gate", unsure_, "--privacy", "allow", "--once", "Hello"}));
  EXPECT_EQ(said.out, "From afar.\n");
  EXPECT_THAT(said.error, HasSubstr("[server: confidence (probability) "));
  EXPECT_EQ(raw_.connections(), 2);
}

TEST_F(ServerProgram, IsNotAskedWhereNothingSpeaksForIt) {
  const std::string alone = Output({"chat", "-m", Model(), "--chat-template", "chatml", "-n", "8",
                                    "--pot", "256", "--once", "Hello"});
  for (const auto& arguments : std::vector<std::vector<std::string>>{
           {"--gate", sure_, "--privacy", "allow"},
           {"--gate", unsure_, "--privacy", "allow", "--budget", "0"},
           {"--gate", unsure_, "--privacy", "allow", "--private",
            Write("p", "\xef\xbb\xbf# mine\n \nH.l\n")},
           {"--gate", unsure_, "--privacy", "never"},
           {"--gate", unsure_, "--privacy", "ask"},  // with nobody to ask
           {"--gate", unsure_}}) {
    std::vector<std::string> all = Chat(arguments);
    all.insert(all.end(), {"--once", "Hello"});
    EXPECT_EQ(Output(all), alone);
  }
  EXPECT_EQ(raw_.connections(), 0);
  EXPECT_FALSE(std::ifstream(Path("sent")));
}

// What is written to a terminal up to a prompt; what had come where it does not for half a minute.
std::string ReadUpTo(const std::string& prompt, int terminal) {
  std::string shown;
  pollfd ready{terminal, POLLIN, 0};
  char c = 0;
  while (!shown.ends_with(prompt) && poll(&ready, 1, 30000) == 1 && read(terminal, &c, 1) == 1) {
    shown += c;
  }
  return shown;
}

TEST_F(ServerProgram, AsksAtTheTerminalWhateverStandsInTheInput) {
  const std::vector<std::string> chat = Chat({"--gate", unsure_, "--budget", "1"});
  for (const auto& [reply, sent] : {std::pair{"y\n", 2}, {"n\n", 0}, {"\n", 0}}) {
    const int before = raw_.connections();
    const int terminal = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    ASSERT_GE(terminal, 0);
    ASSERT_EQ(grantpt(terminal) + unlockpt(terminal), 0);
    const pid_t process =
        StartFrom(Write("typed", "Hello \x1b[8mthere\ny\n"), chat, ptsname(terminal));
    // Both messages are shown, all of them, and each is asked for.
    for (const char* message : {"Hello \\x1b[8mthere", "y"}) {
      const std::string shown = ReadUpTo("y or n] ", terminal);
      EXPECT_THAT(shown, HasSubstr("This would leave for " + raw_.url()));
      EXPECT_THAT(shown, HasSubstr(std::string(":]\r\n") + message + "\r\n"));
      EXPECT_EQ(write(terminal, reply, std::strlen(reply)),
                static_cast<ssize_t>(std::strlen(reply)));
    }
    if (HasFailure()) kill(process, SIGKILL);
    const Outcome outcome = Wait(process);
    close(terminal);
    EXPECT_EQ(outcome.code, 0) << outcome.error;
    EXPECT_EQ(outcome.out == "From afar.\nFrom afar.\n", sent == 2) << outcome.out;
    EXPECT_EQ(raw_.connections() - before, sent);
  }
}

TEST_F(ServerProgram, TheBudgetIsTheGatesWhereNoneIsNamed) {
  const std::string fitted = Write("fitted.json", R"({"ondine_gate":1,"signal":"probability",
    "task":0.5,"confidence":1.1,"probe_tokens":4,"fit":{"questions":9,"budget":0,"share":0,
    "accuracy":0,"device":0,"server":1,"model":"another"}})");
  const Outcome none = Run(Chat({"--gate", fitted, "--privacy", "allow", "--once", "Hello"}));
  EXPECT_THAT(none.error, HasSubstr("the budget of 0.00 % is used up"));
  EXPECT_THAT(none.error, HasSubstr("[the gate was fitted to 'another', not to "));
  EXPECT_THAT(none.error, HasSubstr("task counts only with --examples]"));
  const Outcome named =
      Run(Chat({"--gate", fitted, "--privacy", "allow", "--budget", "1", "--once", "Hello"}));
  EXPECT_EQ(named.out, "From afar.\n");
}

TEST_F(ServerProgram, AwayTheDeviceAnswersAndSaysSo) {
  const std::vector<std::string> chat = {
      "chat", "-m", Model(), "--chat-template", "chatml", "-n", "8", "--pot", "256"};
  std::vector<std::string> away = chat;
  away.insert(away.end(), {"--server", "http://127.0.0.1:" + std::to_string(UnusedPort()),
                           "--privacy", "allow", "--gate", unsure_, "--sent-log", Path("sent")});
  const Outcome outcome = Run(away, "Hello\nAgain\n");
  EXPECT_EQ(outcome.code, 0);
  EXPECT_EQ(outcome.out, Output(chat, "Hello\nAgain\n"));
  EXPECT_THAT(outcome.error, HasSubstr("[the server failed (unreachable"));
  EXPECT_THAT(outcome.error, HasSubstr("of the server: unreachable a moment ago"));
}

TEST_F(ServerProgram, KeysComeFromFilesAndLeaveOnlyForTheServer) {
  Run(Chat({"--gate", unsure_, "--privacy", "allow", "--server-key-file", Write("key", "sk-1\n"),
            "--once", "Hello"}));
  ASSERT_EQ(raw_.requests().size(), 1u);
  EXPECT_THAT(raw_.requests()[0], HasSubstr("Authorization: Bearer sk-1\r\n"));
  std::ifstream log(Path("sent"));
  const std::string noted((std::istreambuf_iterator<char>(log)), {});
  EXPECT_THAT(noted, HasSubstr(R"("text":"Hello")"));
  EXPECT_EQ(noted.find("sk-1"), std::string::npos);
}

TEST_F(ServerProgram, BadServersAndGatesAreRefused) {
  const auto with = [&](const std::string& option, const std::string& value) {
    return std::vector<std::string>{"chat",
                                    "-m",
                                    Model(),
                                    "--chat-template",
                                    "chatml",
                                    "--server",
                                    "http://127.0.0.1:1",
                                    option,
                                    value,
                                    "--once",
                                    "x"};
  };
  Refusal(2, {"chat", "-m", Model(), "--chat-template", "chatml", "--server", "example.com",
              "--once", "x"});
  Refusal(2, {"chat", "-m", Model(), "--chat-template", "chatml", "--privacy", "allow", "--once",
              "x"});  // without a server
  Refusal(2, with("--privacy", "maybe"));
  Refusal(2, with("--budget", "2"));
  Refusal(1, with("--gate", Path("none")));
  Refusal(1, with("--gate", Write("bad", "{}")));
  EXPECT_THAT(Refusal(1, with("--gate", Write("bad", R"({"ondine_gate":1,"signal":"mood",
    "task":null,"confidence":1,"probe_tokens":4})"))),
              HasSubstr(Path("bad")));
  Refusal(1, with("--gate", Write("bad", R"({"ondine_gate":1,"signal":"margin","task":null,
    "confidence":1,"probe_tokens":1e300})")));
  Refusal(2, with("--private", Write("p", "(\n")));
  Refusal(2, with("--server-key-file", Write("k", "\n")));
  Refusal(1, with("--server-certificates", Path("none")));
}

TEST_F(ServerProgram, RouteFitsAGateThatChatTakes) {
  const std::string samples =
      Write("samples.jsonl",
            "{\"prompt\": \"One\", \"answer\": \"two\"}\n{\"prompt\": \"Three\", \"answer\": "
            "\"four\", \"server\": 0}\n{\"prompt\": \"Five\", \"answer\": \"six\"}\n");
  const auto out =
      Json({"route", "-m", Model(), "--chat-template", "chatml", "--calibrate", samples, "--budget",
            "0.7", "-n", "8", "--self-consistency", "2", "-o", Path("gate.json"), "--json"});
  // A random model is never right, so what the server alone can answer is sent.
  EXPECT_EQ(out["questions"], 3);
  EXPECT_EQ(out["device"], 0);
  EXPECT_NEAR(out["server"].get<double>(), 2. / 3, 1e-9);
  EXPECT_LE(out["share"].get<double>(), 0.7);
  EXPECT_GT(out["accuracy"].get<double>(), 0.3);
  EXPECT_EQ(out["signals"].size(), 6u);  // three signals, consistency, random, oracle
  EXPECT_EQ(out["items"].size(), 3u);
  const std::string text =
      Output({"route", "-m", Model(), "--chat-template", "chatml", "--calibrate", samples,
              "--budget", "0.7", "-n", "8", "--signal", "margin"});
  EXPECT_THAT(text, HasSubstr("Fitted to a budget of 70 %: margin below"));
  const auto once =
      Json(Chat({"--gate", Path("gate.json"), "--privacy", "allow", "--once", "One", "--json"}));
  EXPECT_TRUE(once["decision"].contains("why"));
}

TEST_F(ServerProgram, RouteExplainsAQuestion) {
  const auto unsure = Json({"route", "-m", Model(), "--chat-template", "chatml", "--gate", unsure_,
                            "-p", "One", "-n", "8", "--json"});
  EXPECT_EQ(unsure["server"], true);
  EXPECT_EQ(unsure["reason"], "unsure");
  EXPECT_THAT(Output({"route", "-m", Model(), "--chat-template", "chatml", "--gate", sure_, "-p",
                      "One", "-n", "8"}),
              HasSubstr("so the device should answer"));
  Refusal(2, {"route", "-m", Model(), "--chat-template", "chatml"});
  Refusal(1, {"route", "-m", Model(), "--chat-template", "chatml", "--calibrate",
              Write("s", "{\"prompt\": \"x\"}\n")});
  Refusal(2, {"route", "-m", Model(), "--chat-template", "chatml", "--calibrate", Write("s", "")});
}

}  // namespace
}  // namespace ondine::testing
