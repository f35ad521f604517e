# Makes the completions of a program for a shell from what the program prints with --help.
#
# Usage: PROGRAM --help | awk -v program=PROGRAM -v shell=bash|fish|zsh -f from-help.awk
# Help of subcommands may follow that of the program.

# What the argument of an option is: a file, a folder, one of some words, or something else.
BEGIN {
    kind["FILE"] = kind["CONFIG"] = kind["INPUT"] = "file"
    kind["LOCALE_DIR"] = kind["OUTPUT"] = "folder"
    kind["GROUP"] = "group"
    kind["USER"] = "user"
    words["LEVEL"] = "NONE ERROR WARNING INFO DEBUG"
    words["PAPER"] = "a4 letter"
    words["TYPE"] = "email phone postal postal-ch"
    quote = "'"
}

# The usage says which options have an argument.
/^Usage:/ {
    rest = $0
    while (match(rest, /-[-A-Za-z0-9]+ <[^>]*>/)) {
        split(substr(rest, RSTART, RLENGTH - 1), pair, / </)
        argument_of[pair[1]] = toupper(pair[2])
        rest = substr(rest, RSTART + RLENGTH)
    }
}

/^[A-Z].*:$/ { section = $0; next }
/^$/ { section = ""; next }

section == "Options:" && /^  -/ {
    line = substr($0, 3)
    short = long = argument = ""
    if (match(line, /^-[A-Za-z0-9]/)) {
        short = substr(line, 1, 2)
        line = substr(line, 3)
        sub(/^, /, "", line)
    }
    if (match(line, /^--[-a-z0-9]+/)) {
        long = substr(line, 1, RLENGTH)
        line = substr(line, RLENGTH + 1)
    } else if (match(line, /^ [A-Z][A-Z_]+/)) {
        argument = substr(line, 2, RLENGTH - 1)
        line = substr(line, RLENGTH + 1)
    }
    if ((short, long) in known) {
        next
    }
    known[short, long] = 1
    count++
    shorts[count] = short
    longs[count] = long
    if (argument == "" && short in argument_of) {
        argument = argument_of[short]
    } else if (argument == "" && long in argument_of) {
        argument = argument_of[long]
    }
    arguments[count] = argument
    texts[count] = trimmed(line)
    next
}

section == "Options:" && count { texts[count] = trimmed(texts[count] " " trimmed($0)) }

section == "Commands:" && /^  [a-z]/ {
    commands = trimmed(commands " " $1)
    # Options of commands follow those of the program.
    own = count
}

function trimmed(text) {
    gsub(/^ +| +$/, "", text)
    return text
}

# The text between quotes of a shell.
function quoted(text, escaped) {
    gsub(quote, escaped, text)
    return quote text quote
}

function flags(i, between) {
    return shorts[i] (shorts[i] != "" && longs[i] != "" ? between : "") longs[i]
}

END {
    if (shell == "bash") {
        bash()
    } else if (shell == "fish") {
        fish()
    } else {
        zsh()
    }
}

function bash(    name, i, all, action) {
    name = program
    gsub(/[^A-Za-z0-9]/, "_", name)
    print "# Completions of " program " for bash, made from its --help."
    print "_" name "() {"
    print "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}"
    print "    # --option=value is three words here."
    print "    if [[ $word == = ]]; then"
    print "        word="
    print "    elif [[ $before == = ]]; then"
    print "        before=${COMP_WORDS[COMP_CWORD-2]}"
    print "    fi"
    print "    case $before in"
    for (i = 1; i <= count; i++) {
        all = all " " flags(i, " ")
        if (arguments[i] != "") {
            print "        " flags(i, " | ") ") " bash_action(arguments[i]) "return ;;"
        }
    }
    print "    esac"
    if (commands != "") {
        print "    if ((COMP_CWORD == 1)); then"
        print "        " bash_words("-W " quoted(commands all))
        print "        return"
        print "    fi"
    }
    print "    " bash_words("-W " quoted(trimmed(all)))
    print "}"
    print "complete -F _" name " " program
}

function bash_action(argument) {
    if (kind[argument] == "file") {
        return "compopt -o filenames; " bash_words("-f") "; "
    } else if (kind[argument] == "folder") {
        return "compopt -o filenames; " bash_words("-d") "; "
    } else if (kind[argument] == "group") {
        return bash_words("-g") "; "
    } else if (kind[argument] == "user") {
        return bash_words("-u") "; "
    } else if (argument in words) {
        return bash_words("-W " quoted(words[argument])) "; "
    }
    return "COMPREPLY=(); "
}

function bash_words(choice) {
    return "mapfile -t COMPREPLY < <(compgen " choice " -- \"$word\")"
}

function fish(    i, line) {
    print "# Completions of " program " for fish, made from its --help."
    print "complete -c " program " -f"
    if (commands != "") {
        print "complete -c " program " -n __fish_use_subcommand -a " quoted(commands)
    }
    for (i = 1; i <= count; i++) {
        line = "complete -c " program
        if (commands != "" && i > own) {
            line = line " -n " quoted("__fish_seen_subcommand_from " commands)
        }
        if (shorts[i] != "") {
            line = line " -s " substr(shorts[i], 2)
        }
        if (longs[i] != "") {
            line = line " -l " substr(longs[i], 3)
        }
        print line fish_action(arguments[i]) " -d " quoted(texts[i], "\\\\'")
    }
}

function fish_action(argument) {
    if (argument == "") {
        return ""
    } else if (kind[argument] == "file") {
        return " -r -F"
    } else if (kind[argument] == "folder") {
        return " -x -a '(__fish_complete_directories)'"
    } else if (kind[argument] == "group") {
        return " -x -a '(__fish_complete_groups)'"
    } else if (kind[argument] == "user") {
        return " -x -a '(__fish_complete_users)'"
    } else if (argument in words) {
        return " -x -a " quoted(words[argument])
    }
    return " -x"
}

function zsh(    i, text, action, sign) {
    print "#compdef " program
    print "# Completions of " program " for zsh, made from its --help."
    printf "_arguments -s -S"
    if (commands != "") {
        printf " \\\n    " quoted("1:command:(" commands ")")
    }
    for (i = 1; i <= count; i++) {
        text = texts[i]
        gsub(/\[/, "\\[", text)
        gsub(/\]/, "\\]", text)
        gsub(/:/, "\\:", text)
        action = zsh_action(arguments[i])
        text = quoted("[" text "]" action, "'\\\\''")
        printf " \\\n    "
        if (shorts[i] != "" && longs[i] != "") {
            printf "%s", quoted("(" flags(i, " ") ")")
        }
        sign = action == "" ? "" : "+"
        if (shorts[i] != "" && longs[i] != "") {
            printf "{%s%s,%s%s}%s", shorts[i], sign, longs[i], sign == "" ? "" : "=", text
        } else if (shorts[i] != "") {
            printf "%s%s%s", shorts[i], sign, text
        } else {
            printf "%s%s%s", longs[i], sign == "" ? "" : "=", text
        }
    }
    print ""
}

function zsh_action(argument) {
    if (argument == "") {
        return ""
    } else if (kind[argument] == "file") {
        return ":" argument ":_files"
    } else if (kind[argument] == "folder") {
        return ":" argument ":_files -/"
    } else if (kind[argument] == "group") {
        return ":" argument ":_groups"
    } else if (kind[argument] == "user") {
        return ":" argument ":_users"
    } else if (argument in words) {
        return ":" argument ":(" words[argument] ")"
    }
    return ":" argument ": "
}
