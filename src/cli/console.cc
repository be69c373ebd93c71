#include "cli/console.h"

#include <fcntl.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <utility>

#include "base/control_characters.h"

namespace ondine::cli {
namespace {

StopToken& Interrupt() {
  static StopToken token;
  return token;
}

// Readable at its first end once the program was interrupted.
int interrupt_pipe[2] = {-1, -1};

// The token's flag is a lock-free atomic, which a handler may set.
extern "C" void HandleInterrupt(int) {
  if (Interrupt().Stopped()) std::_Exit(130);
  Interrupt().Stop();
  const int error = errno;
  [[maybe_unused]] const ssize_t written = write(interrupt_pipe[1], "", 1);
  errno = error;
}

// What is there to be read, as read(2). Ends at an interruption too, with -1, also at one that came
// just before: a signal by itself ends only what waits already, and only in the thread it reaches.
ssize_t ReadUnlessInterrupted(int file, char* to, std::size_t size) {
  std::array<pollfd, 2> waiting = {{{file, POLLIN, 0}, {interrupt_pipe[0], POLLIN, 0}}};
  while (poll(waiting.data(), waiting.size(), -1) < 0 && errno == EINTR) {
  }
  return Interrupt().Stopped() ? -1 : read(file, to, size);
}

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

std::string Code(char c) {
  char code[8];
  std::snprintf(code, sizeof code, "\\x%02x", static_cast<unsigned char>(c));
  return code;
}

void PrintLine(std::string_view label, std::string_view message) {
  const std::string line = std::string(label) + VisibleLine(message) + "\n";
  std::fwrite(line.data(), 1, line.size(), stderr);
}

}  // namespace

Status FlushOutput() {
  std::cout.flush();
  if (std::fflush(stdout) == 0 && std::ferror(stdout) == 0 && std::cout.good()) return {};
  return MakeError(ErrorCode::kIo, "not everything could be written", "standard output");
}

void PrintError(std::string_view message) {
  PrintLine("ondine: ", message);
}
void PrintNote(std::string_view message) {
  PrintLine("", message);
}

bool OutputIsTerminal() {
  return isatty(STDOUT_FILENO) == 1;
}
bool ErrorIsTerminal() {
  return isatty(STDERR_FILENO) == 1;
}

std::optional<std::string> AskOnTerminal(const std::string& text) {
  const int terminal = open("/dev/tty", O_RDWR | O_NOCTTY | O_CLOEXEC);
  if (terminal < 0) return std::nullopt;
  std::optional<std::string> line;
  // In the background the question would only stop the program.
  if (tcgetpgrp(terminal) == getpgrp()) {
    tcflush(terminal, TCIFLUSH);
    if (write(terminal, text.data(), text.size()) == static_cast<ssize_t>(text.size())) {
      line.emplace();
      for (char c = 0; ReadUnlessInterrupted(terminal, &c, 1) == 1 && c != '\n';) *line += c;
    }
  }
  close(terminal);
  return line;
}

std::optional<std::string> ReadInputLine() {
  static std::string pending;
  std::size_t end = pending.find('\n');
  while (end == std::string::npos) {
    std::array<char, 4096> block;
    const ssize_t size = ReadUnlessInterrupted(STDIN_FILENO, block.data(), block.size());
    if (size < 0 || (size == 0 && pending.empty())) return std::nullopt;
    if (size == 0) return std::exchange(pending, "");
    const std::size_t searched = pending.size();
    pending.append(block.data(), static_cast<std::size_t>(size));
    end = pending.find('\n', searched);
  }
  std::string line = pending.substr(0, end);
  pending.erase(0, end + 1);
  if (line.ends_with('\r')) line.pop_back();  // lines of files from elsewhere
  return line;
}

std::string Visible(std::string_view text) {
  std::string visible;
  while (!text.empty()) {
    const std::size_t hidden = std::max(base::ControlLength(text), base::DirectionLength(text));
    if (hidden == 0) visible += text.front();
    for (const char c : text.substr(0, hidden)) visible += Code(c);
    text.remove_prefix(std::max<std::size_t>(1, hidden));
  }
  return visible;
}

std::string VisibleLine(std::string_view text) {
  std::string line;
  for (const char c : Visible(text)) line += c == '\n' || c == '\t' ? Code(c) : std::string(1, c);
  return line;
}

void ShowText(std::string_view text) {
  static const bool terminal = OutputIsTerminal();
  std::cout << (terminal ? Visible(text) : std::string(text)) << std::flush;
}

StopToken InterruptToken() {
  return Interrupt();
}

void InstallInterruptHandler() {
  Interrupt();  // made before a signal can ask for it
  if (pipe2(interrupt_pipe, O_CLOEXEC | O_NONBLOCK) != 0)
    interrupt_pipe[0] = interrupt_pipe[1] = -1;
  struct sigaction action = {};
  action.sa_handler = HandleInterrupt;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

ProgressLine::ProgressLine(bool wanted) : enabled_(wanted || ErrorIsTerminal()) {}
ProgressLine::~ProgressLine() {
  Clear();
}

void ProgressLine::Show(const std::string& text) {
  const double now = Now();
  if (!enabled_ || (shown_ && now - last_ < 0.1)) return;
  last_ = now;
  shown_ = true;
  const std::string line = VisibleLine(text);
  if (ErrorIsTerminal()) {
    std::fprintf(stderr, "\r\033[K%s", line.c_str());
  } else {
    std::fprintf(stderr, "%s\n", line.c_str());
  }
  std::fflush(stderr);
}

void ProgressLine::Clear() {
  if (shown_ && ErrorIsTerminal()) std::fputs("\r\033[K", stderr);
  shown_ = false;
}

std::string HumanBytes(std::int64_t bytes) {
  const char* units[] = {"B", "kB", "MB", "GB", "TB"};
  auto value = static_cast<double>(bytes);
  int unit = 0;
  for (; value >= 1000 && unit < 4; ++unit) value /= 1000;
  return Fixed(value, unit == 0 || value >= 100 ? 0 : 1) + " " + units[unit];
}

std::string Grouped(std::int64_t number) {
  const std::string digits = std::to_string(number);
  std::string grouped;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && digits[i - 1] != '-' && (digits.size() - i) % 3 == 0) grouped += ',';
    grouped += digits[i];
  }
  return grouped;
}

std::string Fixed(double value, int digits) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", digits, value);
  return text;
}

std::string HumanSeconds(double seconds) {
  const auto whole = static_cast<std::int64_t>(std::llround(seconds));
  if (whole < 60) return std::to_string(whole) + " s";
  char text[64];
  std::snprintf(text, sizeof text, "%lld min %02lld s", static_cast<long long>(whole / 60),
                static_cast<long long>(whole % 60));
  return text;
}

std::string TimeLeft(double seconds, std::int64_t done, std::int64_t total) {
  const double each = seconds / static_cast<double>(std::max<std::int64_t>(done, 1));
  return HumanSeconds(each * static_cast<double>(total - done)) + " left";
}

}  // namespace ondine::cli
