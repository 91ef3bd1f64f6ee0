//! What all grammars share: lexer, cursor and printing helpers.
