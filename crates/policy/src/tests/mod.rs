mod compiling;
mod deciding;
mod explaining;
mod prefiltering;
