# The programs of packages that the script of a service runs by name, where it has no package in its path, and those that it runs below
# `/usr` and `/bin`. Only what is certain: the first words of plain lines, up to the first line that may change what those after it mean. No other word is among them: it
# may be a secret.
{ commands, service }:
let
  inherit (builtins) all any elem elemAt filter foldl' isString match replaceStrings split stringLength substring;
  inherit (commands) contains;

  programs = map (split " ") (filter (line: isString line && line != "") (split "\n" (builtins.readFile ./programs.txt)));
  # Those of coreutils are in the path of every service.
  known = map (words: elemAt words 0) (filter (words: elemAt words 2 != "coreutils") programs);
  inherited = "(coreutils|findutils|gnugrep|gnused|systemd)";
  hasNoPackage =
    if (service.environment or { }) ? PATH then
      isString service.environment.PATH && all isInherited (filter (dir: isString dir && dir != "") (split ":" (builtins.unsafeDiscardStringContext service.environment.PATH)))
    else
      service.path or [ ] == [ ];
  isInherited = dir: match ".*/[a-z0-9]{32}-${inherited}(-[^/]*)?/s?bin" dir != null;
  # What the environment of the script has besides is not read.
  has = any (name: (service.serviceConfig or { }) ? ${name});
  isRead = !has [ "Environment" "EnvironmentFile" "RootDirectory" "RootImage" ] && !((service.environment or { }) ? BASH_ENV);
  isInOwnRoot = !has [ "BindPaths" "BindReadOnlyPaths" "RootDirectory" "RootImage" ];

  # With an `ExecStart` of the user's own, NixOS does not run the script.
  isRun = (command: command == "" || contains "unit-script-" command) (toString ((service.serviceConfig or { }).ExecStart or ""));

  count = part: text: stringLength text - stringLength (replaceStrings [ part ] [ "" ] text);
  # Whether all quotes of a line end in it.
  isClosed = line: !(contains "\"" line && contains "'" line) && count "\"" line / 2 * 2 == count "\"" line && count "'" line / 2 * 2 == count "'" line;
  isBlank = line: match "[ \t]*(#.*)?" line != null;
  isEndless = line: match "[ \t]*while (true|:); do[ \t]*" line != null;
  # The program that a line runs first, or nothing.
  programOf = line: (found: if found == null then "" else elemAt found 1) (match "[ \t]*(exec )?([A-Za-z0-9_./-]+)([ \t]+[^( \t].*)?[ \t]*" line);
  isOfOtherSystems = path: match "/(usr/(local/)?)?s?bin/[A-Za-z0-9_.-]+" path != null;
  changing = [ "alias" "case" "done" "elif" "else" "enable" "esac" "eval" "exec" "fi" "for" "function" "hash" "if" "select" "source" "then" "until" "while" "." "[[" ];
  # Words that may decide whether the rest runs, or where programs are found, and characters that begin something of several lines.
  telling = [ "PATH" "command" "exit" "return" "type" "which" "<<" "\\" "`" "(" ")" "{" "}" ];
  # Also in the midst of a line: `cd /opt/app && source venv/bin/activate`.
  wordsOf = line: filter isString (split "[ \t;&|!\"']+" line);
  # What is behind `||` may replace a program that is not there, unless it only says so or ends the script; and the next line runs only if
  # this one fails, or does not.
  replacesNothing = text: match "[ \t]*(true|:|exit([ \t]+[0-9]+)?|echo([ \t][^;&|`()]*)?)[ \t]*(#.*)?" (replaceStrings [ ">&2" ] [ "" ] text) != null;
  hasFallback = line: !all replacesNothing (builtins.tail (filter isString (split "[|][|]" line)));
  isContinued = line: match ".*(&&|[|][|])[ \t]*(#.*)?" line != null;
  isPlain = line: stringLength line < 1000 && isClosed line && !isContinued line && !any (word: elem word changing) (wordsOf line) && !any (part: contains part line) telling;

  read =
    state: line:
    if state.isOver || stringLength line > 1000 then
      state // { isOver = true; }
    else if isBlank line || isEndless line then
      state
    else
      {
        found = state.found ++ filter (program: (elem program known || isOfOtherSystems program) && !elem program state.found && !hasFallback line) [ (programOf line) ];
        isOver = !isPlain line;
      };
  script = builtins.unsafeDiscardStringContext (service.script or "");
  # Of a long script the beginning, which may end inside of a line.
  lines = filter isString (split "\n" (substring 0 4000 script));
  whole = if stringLength script <= 4000 then lines else builtins.genList (elemAt lines) (builtins.length lines - 1);
  found = (foldl' read { found = [ ]; isOver = false; } whole).found;
in
if found == [ ] || !isRun then
  [ ]
else
  (if isRead && hasNoPackage then filter (program: !isOfOtherSystems program) found else [ ]) ++ (if isInOwnRoot then filter isOfOtherSystems found else [ ])
