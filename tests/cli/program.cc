#include "cli/program.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "base/file.h"
#include "models/tiny_model.h"

extern char** environ;

namespace ondine::testing {

ProgramTest::ProgramTest() {
  EXPECT_TRUE(WriteTinyModel({.architecture = "llama"}, Model()));
  // What is not given must not come from outside.
  unsetenv("ONDINE_MODEL");
  unsetenv("ONDINE_SERVER_KEY");
  setenv("HOME", folder_.path().c_str(), 1);
  setenv("XDG_STATE_HOME", Path("state").c_str(), 1);
}

pid_t ProgramTest::Start(const std::vector<std::string>& arguments,
                         const std::string& input) const {
  return StartFrom(Write("in", input), arguments);
}

pid_t ProgramTest::StartFrom(const std::string& in, const std::vector<std::string>& arguments,
                             const std::string& terminal) const {
  // A session of its own, so that nothing is asked at the terminal of whoever runs the tests. The
  // first terminal that its leader opens becomes the session's.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSID);
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  const std::string out = Path("out"), error = Path("error");
  if (!terminal.empty()) {
    posix_spawn_file_actions_addopen(&files, 3, terminal.c_str(), O_RDWR, 0);
  }
  posix_spawn_file_actions_addopen(&files, 0, in.c_str(), O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, 1, out.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  posix_spawn_file_actions_addopen(&files, 2, error.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0600);
  std::vector<char*> argv = {const_cast<char*>(ONDINE_PROGRAM)};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  pid_t process = 0;
  EXPECT_EQ(posix_spawn(&process, ONDINE_PROGRAM, &files, &attributes, argv.data(), environ), 0);
  posix_spawn_file_actions_destroy(&files);
  posix_spawnattr_destroy(&attributes);
  return process;
}

Outcome ProgramTest::Wait(pid_t process) const {
  int status = 0;
  EXPECT_EQ(waitpid(process, &status, 0), process);
  Outcome outcome;
  outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  outcome.out = base::ReadFile(Path("out")).value();
  outcome.error = base::ReadFile(Path("error")).value();
  return outcome;
}

Outcome ProgramTest::Run(const std::vector<std::string>& arguments,
                         const std::string& input) const {
  return Wait(Start(arguments, input));
}

std::string ProgramTest::Output(const std::vector<std::string>& arguments,
                                const std::string& input) const {
  const Outcome outcome = Run(arguments, input);
  EXPECT_EQ(outcome.code, 0) << outcome.error;
  return outcome.out;
}

nlohmann::json ProgramTest::Json(const std::vector<std::string>& arguments,
                                 const std::string& input) const {
  const std::string text = Output(arguments, input);
  const auto json = nlohmann::json::parse(text, nullptr, false);
  EXPECT_FALSE(json.is_discarded()) << text;
  return json;
}

std::string ProgramTest::Refusal(int code, const std::vector<std::string>& arguments,
                                 const std::string& input) const {
  const Outcome outcome = Run(arguments, input);
  std::string command;
  for (const std::string& argument : arguments) command += argument.substr(0, 60) + " ";
  EXPECT_EQ(outcome.code, code) << command << "\n" << outcome.error;
  EXPECT_EQ(outcome.out, "") << command;
  const std::string name = std::filesystem::path(ONDINE_PROGRAM).filename().string();
  EXPECT_TRUE(outcome.error.starts_with(name + ": ")) << command << "\n" << outcome.error;
  EXPECT_EQ(std::count(outcome.error.begin(), outcome.error.end(), '\n'), 1) << command << "\n"
                                                                             << outcome.error;
  return outcome.error;
}

std::string ProgramTest::Write(const std::string& name, const std::string& content) const {
  std::ofstream(Path(name), std::ios::binary) << content;
  return Path(name);
}

std::vector<std::string> ProgramTest::Files() const {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
    const std::string name = entry.path().filename().string();
    if (name != "in" && name != "out" && name != "error") names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace ondine::testing
